"""Predictions of a split: stored with the run, computed again only where something changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dait.config.recipe import parse_recipe
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.evaluation.evaluate import (
    familiarity_of,
    has_predictions,
    predictions_of,
    stored_familiarity,
)
from dait.evaluation.measure import weights_and_data
from dait.events import Event, Note
from dait.models.checkpoint import load_network, save_network
from dait.runs.data import open_data
from dait.runs.folder import RunFolder, StudyFolder
from dait.training.inference import predict_split


class Heard(list[str]):
    """The sentences that were said."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            self.append(event.text)


@pytest.fixture
def run(copied: Path) -> RunFolder:
    """A run of an older version, which kept nothing of what is familiar."""
    found = RunFolder(copied / "dait-s0")
    found.familiarity.unlink(missing_ok=True)
    return found


def val_of(run: RunFolder) -> Any:
    recipe = StudyFolder(run.path.parent).description()["recipe"]
    return open_data(parse_recipe(recipe, "here"), lambda event: None).split("val")


def rewrite(path: Path, **changes: Any) -> None:
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_the_test_split_is_read_as_it_was_kept(run: RunFolder) -> None:
    before = run.predictions.read_bytes()
    found = predictions_of(run, "test")
    with np.load(run.predictions) as file:
        np.testing.assert_array_equal(found.logits["student"], file["logits"])
        np.testing.assert_array_equal(found.pooled["intermediate"], file["intermediate_pooled"])
        assert list(found.ids) == file["ids"].tolist()
        assert found.correct.mean() == (file["logits"].argmax(1) == file["labels"]).mean()
    assert found.file == run.predictions and run.predictions.read_bytes() == before
    assert found.slices == {}  # this file is of a version that kept none


def test_another_split_is_predicted_once_and_stored(run: RunFolder) -> None:
    heard = Heard()
    first = predictions_of(run, "val", heard)
    assert any("its networks predict 32 val images" in said for said in heard)
    split = val_of(run)
    expected = predict_split(load_network(run.student).network, split)
    np.testing.assert_allclose(first.logits["student"], expected.logits, rtol=2e-3, atol=2e-3)
    taught = predict_split(load_network(run.intermediate).network, split)
    np.testing.assert_allclose(first.pooled["intermediate"], taught.pooled, rtol=2e-3, atol=2e-3)
    assert first.ids == split.ids and first.file == run.path / "predictions-val.npz"
    np.testing.assert_array_equal(first.labels, split.labels)
    np.testing.assert_array_equal(first.slices["habitat"], split.slices["habitat"])

    stamp, said = first.file.stat().st_mtime_ns, len(heard)
    again = predictions_of(run, "val", heard)
    assert len(heard) == said and first.file.stat().st_mtime_ns == stamp
    # Rounded alike the first time: figures do not depend on who asked first.
    for role in ("student", "intermediate"):
        np.testing.assert_array_equal(again.logits[role], first.logits[role])
        np.testing.assert_array_equal(again.pooled[role], first.pooled[role])
    assert sorted(again.slices) == sorted(first.slices)


def test_a_split_that_was_never_kept_can_be_the_test_split(run: RunFolder) -> None:
    kept = predictions_of(run, "test")
    run.predictions.unlink()
    assert has_predictions(run, "test")
    found = predictions_of(run, "test")
    np.testing.assert_allclose(found.logits["student"], kept.logits["student"], atol=0.02)
    assert found.ids == kept.ids and run.predictions.exists()


def test_other_weights_or_images_are_predicted_again(run: RunFolder) -> None:
    first = predictions_of(run, "val")
    student, intermediate = load_network(run.student), load_network(run.intermediate)
    save_network(run.student, intermediate.network, student.classes, arm="dait")
    heard = Heard()
    changed = predictions_of(run, "val", heard)
    assert any("the networks have changed since" in said for said in heard)
    np.testing.assert_array_equal(changed.logits["student"], first.logits["intermediate"])

    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace("val_per_class: 8", "val_per_class: 2"))
    heard.clear()
    assert len(predictions_of(run, "val", heard).labels) == 8
    assert any("the images have changed since" in said for said in heard)


def test_a_damaged_file_is_made_anew_except_of_the_test_split(run: RunFolder) -> None:
    first = predictions_of(run, "val")
    assert first.file is not None
    whole = first.file.read_bytes()
    for damaged in (b"", whole[:2000], b"not an archive"):
        first.file.write_bytes(damaged)
        heard = Heard()
        again = predictions_of(run, "val", heard)
        assert any("is damaged" in said and "predict again" in said for said in heard)
        np.testing.assert_array_equal(again.logits["student"], first.logits["student"])
    assert len(list(run.path.glob("predictions-val.npz.unreadable*"))) == 3
    rewrite(first.file, labels=None)
    np.testing.assert_array_equal(predictions_of(run, "val").labels, first.labels)

    run.predictions.write_bytes(whole[:2000])
    with pytest.raises(UserError, match=r"predictions.npz is damaged.*Or delete predictions.npz"):
        predictions_of(run, "test")
    run.student.unlink()
    with pytest.raises(UserError, match="is damaged") as caught:
        predictions_of(run, "test")
    assert "delete predictions.npz" not in str(caught.value).lower()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": np.full(12, 9)}, "its labels are not those of 4 classes"),
        ({"ids": np.array(["one"])}, r"ids \(1,\) for 12 images"),
        ({"intermediate_pooled": None}, "it has half of the arrays"),
        ({"intermediate_logits": np.zeros((12, 3))}, r"intermediate_logits \(12, 3\)"),
        ({"slice_light": np.array(["dim"])}, r"slice_light \(1,\) for 12 images"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    run: RunFolder, changes: dict[str, Any], reason: str
) -> None:
    rewrite(run.predictions, **changes)
    with pytest.raises(UserError, match=reason):
        predictions_of(run, "test")


def test_predictions_that_cannot_be_kept_are_given_all_the_same(run: RunFolder) -> None:
    in_the_way = run.predictions_of("val")
    in_the_way.mkdir()
    heard = Heard()
    found = predictions_of(run, "val", heard)
    assert found.file is None and len(found.labels) == 32
    assert any("were not kept: Could not write" in said for said in heard)
    assert [path.name for path in run.path.iterdir() if path.name.endswith(".tmp")] == []


def test_what_is_missing_is_said(run: RunFolder) -> None:
    weights = run.student.read_bytes()
    run.student.unlink()
    assert has_predictions(run, "test") and not has_predictions(run, "val")
    with pytest.raises(UserError, match=r"has no student.safetensors.*val split.*exported"):
        predictions_of(run, "val")
    run.student.write_bytes(weights)
    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace("source: fieldguide", "source: no/such/folder"))
    with pytest.raises(UserError, match=r"dait-s0 on val\. There is no folder ‘.*/no/such/folder’"):
        predictions_of(run, "val")


def test_what_was_kept_is_used_where_the_images_are_gone(run: RunFolder) -> None:
    first = predictions_of(run, "val")
    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace("source: fieldguide", "source: no/such/folder"))
    heard = Heard()
    again = predictions_of(run, "val", heard)
    np.testing.assert_array_equal(again.logits["student"], first.logits["student"])
    (said,) = heard
    assert "could not be checked against the images: There is no folder" in said


def test_images_of_other_classes_are_refused(run: RunFolder) -> None:
    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace("species: 4", "species: 5"))
    with pytest.raises(UserError, match=r"student.safetensors knows other classes than the data"):
        predictions_of(run, "val")


def test_images_that_are_not_those_of_the_training_are_told(run: RunFolder) -> None:
    study = StudyFolder(run.path.parent)
    described = study.description()
    now = open_dataset(**parse_recipe(described["recipe"], "here").data.model_dump()).fingerprint
    for fingerprint, told in ((now, False), ("another", True)):
        study.write_description(described | {"data": {"fingerprint": fingerprint}})
        heard = Heard()
        predictions_of(run, "val", heard)
        assert any("not exactly those" in said for said in heard) is told
        run.predictions_of("val").unlink()


def test_a_run_without_a_study_is_predicted_too(run: RunFolder, tmp_path: Path) -> None:
    alone = RunFolder(shutil.copytree(run.path, tmp_path / "mine"))
    found = predictions_of(alone, "train")
    assert len(found.labels) == 8 and found.file == alone.path / "predictions-train.npz"


def test_test_predictions_of_other_networks_are_noted(run: RunFolder) -> None:
    change_to = load_network(run.intermediate)
    rewrite(run.predictions, **weights_and_data(run, "any"))
    heard = Heard()
    predictions_of(run, "test", heard)
    assert not heard
    save_network(run.student, change_to.network, change_to.classes, arm="dait")
    predictions_of(run, "test", heard)
    assert any("other networks now than those that it was measured by" in said for said in heard)


def test_what_is_familiar_is_measured_once_and_again_for_other_networks(run: RunFolder) -> None:
    assert stored_familiarity(run) == {}  # a run of an older version
    heard = Heard()
    found = familiarity_of(run, heard)
    assert set(found) == {"student", "intermediate"} and len(heard) == 1
    val = predictions_of(run, "val")
    for role, known in found.items():
        assert known.unlike(val.pooled[role]).mean() <= 1 / 32
    stamp = run.familiarity.stat().st_mtime_ns
    again = familiarity_of(run, heard)
    np.testing.assert_array_equal(again["student"].means, found["student"].means)
    assert run.familiarity.stat().st_mtime_ns == stamp

    loaded = load_network(run.student)
    with torch.no_grad():
        for weight in loaded.network.parameters():
            weight.mul_(1.5)
    save_network(run.student, loaded.network, loaded.classes, arm="dait")
    assert stored_familiarity(run) == {}
    other = familiarity_of(run)
    assert not np.array_equal(other["student"].means, found["student"].means)

    run.familiarity.write_bytes(b"no arrays")
    assert stored_familiarity(run) == {} and set(familiarity_of(run)) == set(found)


def test_without_its_images_a_run_says_nothing_of_what_is_familiar(run: RunFolder) -> None:
    config = run.config()
    run.write_config({**config, "data": {**config["data"], "source": "/nowhere/at/all"}})
    heard = Heard()
    assert familiarity_of(run, heard) == {}
    assert not run.familiarity.exists() and any("cannot say" in said for said in heard)
