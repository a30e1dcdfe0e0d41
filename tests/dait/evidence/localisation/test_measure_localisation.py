"""Where a study's networks look: right, kept, and not measured twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dait.data.base import Dataset
from dait.errors import UserError
from dait.evaluation.networks import StoredNetworks, stored_networks
from dait.evaluation.results.localisation import FIGURES, Measurement, Settings, read_localisation
from dait.evaluation.results.outdated import current_localisation, outdated
from dait.events import Event, Note, ignore
from dait.evidence.heatmaps.cam import explain
from dait.evidence.localisation.measure import measure
from dait.evidence.localisation.sample import sample_of
from dait.evidence.localisation.scores import localise
from dait.models.checkpoint import load_network, save_network
from dait.runs.data import open_data
from dait.runs.folder import StudyFolder
from dait.study.export import export_study
from dait.study.plan import read_plan
from dait.study.train import complete_study

SETTINGS = Settings(images=8, road_images=2)
KEYS = [
    *("vlm", "intermediate-s0", "independent-s0", "direct-s0", "dait-s0"),
    *("intermediate-s1", "independent-s1", "direct-s1", "dait-s1"),
]


@pytest.fixture(scope="module")
def measured(
    tiny_study: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Dataset, Measurement]:
    study = Path(shutil.copytree(tiny_study, tmp_path_factory.mktemp("measured") / "study"))
    subjects = stored_networks(study)
    data = open_data(subjects.recipe, ignore)
    return study, data, measure(subjects, data, SETTINGS)


@pytest.fixture
def again(measured: tuple[Path, Dataset, Measurement], tmp_path: Path) -> Path:
    """A copy of the measured study."""
    return Path(shutil.copytree(measured[0], tmp_path / "study"))


def refusing(subjects: StoredNetworks) -> StoredNetworks:
    """The same networks, none of which may be loaded."""

    def load() -> nn.Module:
        raise AssertionError("loaded again")

    return replace(subjects, networks=tuple(replace(n, load=load) for n in subjects.networks))


def noting(notes: list[str]) -> Callable[[Event], None]:
    return lambda event: notes.append(event.text) if isinstance(event, Note) else None


def test_every_network_of_every_seed_is_judged(
    measured: tuple[Path, Dataset, Measurement],
) -> None:
    found = measured[2]
    assert [network.key for network in found.networks] == KEYS
    assert [arm.role for arm in found.arms] == [
        *("vlm", "intermediate", "independent", "direct", "dait")
    ]
    assert found.arms[0].seeds == () and found.arms[-1].seeds == (0, 1)
    assert found.networks[0].method == "layercam" and found.networks[1].method == "gradcam"
    assert (found.sample, found.image_size, found.data) == (8, 48, "fieldguide")
    for network in found.networks:
        assert network.scored + network.empty + network.unmasked >= 8
        assert set(network.estimates) <= set(FIGURES)


def test_figures_are_those_of_the_maps(measured: tuple[Path, Dataset, Measurement]) -> None:
    study, data, found = measured
    sample = sample_of(data, 8)
    network = load_network(study / "dait-s1" / "student.safetensors").network
    raw = explain(network, sample.images(range(8)), torch.from_numpy(sample.labels)).raw
    scores = localise(raw, sample.objects, ("other", "distinguishing"))
    row = next(network for network in found.networks if network.key == "dait-s1")
    assert row.estimates["mass"].value == pytest.approx(np.nanmean(scores.mass), rel=1e-5)
    assert row.estimates["rank"].value == pytest.approx(np.nanmean(scores.rank), rel=1e-5)
    marks = scores.part_mass[:, 1]
    assert row.estimates["part_mass"].value == pytest.approx(np.nanmean(marks), rel=1e-5)
    assert row.empty == int(scores.empty.sum())
    with np.load(study / "localisation.npz") as file:
        mass = file[f"dait-s1/{row.made_of}/mass"]
        np.testing.assert_allclose(mass, scores.mass, rtol=1e-5)
        np.testing.assert_array_equal(file[f"dait-s1/{row.made_of}/indices"], sample.indices)
        assert np.isfinite(file[f"dait-s1/{row.made_of}/road-2"]).sum() <= 2


def test_arms_are_means_over_seeds_and_differences_are_paired(
    measured: tuple[Path, Dataset, Measurement],
) -> None:
    study, _, found = measured
    made_of = {network.key: network.made_of for network in found.networks}
    with np.load(study / "localisation.npz") as file:
        mass = {key: file[f"{key}/{made_of[key]}/mass"] for key in KEYS}

    def over_seeds(arm: str) -> np.ndarray:
        both = np.stack([mass[f"{arm}-s0"], mass[f"{arm}-s1"]]).astype(float)
        return np.array([np.nan if np.isnan(c).all() else np.nanmean(c) for c in both.T])

    dait = next(arm for arm in found.arms if arm.role == "dait")
    assert dait.estimates["mass"].value == pytest.approx(np.nanmean(over_seeds("dait")))
    assert dait.by_seed["mass"] == pytest.approx(
        [np.nanmean(mass["dait-s0"]), np.nanmean(mass["dait-s1"])]
    )
    pairs = [(difference.first, difference.second) for difference in found.differences]
    assert pairs == [("direct", "independent"), ("dait", "independent"), ("dait", "direct")]
    paired = over_seeds("dait") - over_seeds("direct")
    estimate = found.differences[2].estimates["mass"]
    assert estimate.value == pytest.approx(np.nanmean(paired))
    assert estimate.count == np.isfinite(paired).sum()
    assert estimate.low <= estimate.value <= estimate.high


def test_nothing_is_measured_twice(
    measured: tuple[Path, Dataset, Measurement], again: Path
) -> None:
    _, data, found = measured
    assert read_localisation(again) == (found,)
    assert measure(refusing(stored_networks(again)), data, SETTINGS) == found
    without = measure(refusing(stored_networks(again)), data, Settings(images=8, road_images=0))
    assert "road" not in without.arms[0].estimates
    assert len(read_localisation(again)) == 2
    other = measure(
        stored_networks(again), data, Settings(images=8, road_images=0, target="predicted")
    )
    assert other.networks[0].made_of != found.networks[0].made_of
    assert [m.settings.target for m in read_localisation(again)] == ["true", "true", "predicted"]


def test_other_weights_are_measured_anew_and_the_old_figures_go(
    measured: tuple[Path, Dataset, Measurement], again: Path
) -> None:
    _, data, found = measured
    file = again / "direct-s0" / "student.safetensors"
    loaded = load_network(file)
    with torch.no_grad():
        loaded.network.model.get_classifier().weight.mul_(1.01)
    save_network(file, loaded.network, loaded.classes, arm="direct")
    changed = measure(stored_networks(again), data, SETTINGS)
    made_of = {network.key: network.made_of for network in changed.networks}
    before = {network.key: network.made_of for network in found.networks}
    assert {key for key in KEYS if made_of[key] != before[key]} == {"direct-s0"}
    with np.load(again / "localisation.npz") as arrays:
        names = {name.rpartition("/")[0] for name in arrays.files}
    assert names == {f"{key}/{made_of[key]}" for key in KEYS}


@pytest.mark.slow
def test_what_is_damaged_is_measured_anew(
    measured: tuple[Path, Dataset, Measurement], again: Path
) -> None:
    _, data, found = measured
    (again / "localisation.npz").write_bytes(b"gone")
    (again / "localisation.json").write_text("{")
    with pytest.raises(UserError, match=r"localisation\.json is damaged .* dait localise"):
        read_localisation(again)
    notes: list[str] = []
    assert measure(stored_networks(again), data, SETTINGS, noting(notes)) == found
    assert [note for note in notes if "written again" in note]
    assert read_localisation(again) == (found,)


def test_a_network_that_is_not_its_own_any_more_is_left_out(
    measured: tuple[Path, Dataset, Measurement], again: Path
) -> None:
    data = measured[1]
    for name in ("localisation.json", "localisation.npz"):
        (again / name).unlink()
    predictions = again / "direct-s0" / "predictions.npz"
    with np.load(predictions) as file:
        arrays = dict(file)
    np.savez(predictions, **(arrays | {"logits": -arrays["logits"]}))
    (again / "dait-s1" / "student.safetensors").unlink()
    notes: list[str] = []
    settings = Settings(images=8, road_images=0)
    found = measure(stored_networks(again), data, settings, noting(notes))
    assert {network.key for network in found.networks} == set(KEYS) - {"direct-s0", "dait-s1"}
    assert [note for note in notes if note.startswith("without direct-s0: the test images are not")]
    dait = next(arm for arm in found.arms if arm.role == "dait")
    assert dait.seeds == (0,)


def test_a_run_is_measured_alone(
    measured: tuple[Path, Dataset, Measurement], tmp_path: Path
) -> None:
    study, data, whole = measured
    run = Path(shutil.copytree(study / "dait-s1", tmp_path / "mine"))
    found = measure(stored_networks(run), data, Settings(images=8, road_images=0))
    assert [network.key for network in found.networks] == ["intermediate-s1", "mine"]
    same = next(network for network in whole.networks if network.key == "dait-s1")
    assert found.networks[1].estimates["mass"] == same.estimates["mass"]
    assert found.differences == () and (run / "localisation.json").is_file()


def test_what_cannot_be_measured_is_said(again: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="should be the folder of a study"):
        stored_networks(tmp_path)
    for file in (*again.glob("*/*.safetensors"), again / "teacher.npz"):
        file.unlink()
    with pytest.raises(UserError, match=r"weights of the networks of .* are missing"):
        stored_networks(again)


@pytest.mark.slow
def test_an_unknown_method_and_a_folder_that_cannot_be_written(
    measured: tuple[Path, Dataset, Measurement], again: Path
) -> None:
    _, data, found = measured
    with pytest.raises(UserError, match="no heatmap method 'saliency'; choose one of gradcam"):
        measure(stored_networks(again), data, Settings(method="saliency"))
    subjects = stored_networks(again)
    (again / "file").write_text("in the way")
    notes: list[str] = []
    elsewhere = replace(subjects, folder=again / "file")
    assert measure(elsewhere, data, SETTINGS, noting(notes)) == found
    assert len([note for note in notes if "the figures are not kept" in note]) == 1


def test_figures_of_a_newer_version_are_kept(
    measured: tuple[Path, Dataset, Measurement], again: Path
) -> None:
    _, data, found = measured
    file, newer = again / "localisation.json", '{"version": 2, "heatmaps": []}'
    file.write_text(newer)
    notes: list[str] = []
    assert measure(stored_networks(again), data, SETTINGS, noting(notes)) == found
    assert file.read_text() == newer
    assert any("version 2 of its format; this program reads version 1" in note for note in notes)


@pytest.mark.slow
def test_figures_hold_for_the_networks_that_they_are_of(
    measured: tuple[Path, Dataset, Measurement], again: Path, tmp_path: Path
) -> None:
    _, _, found = measured
    study = StudyFolder(again)
    assert current_localisation(again) == (found,) and outdated(study) == []
    exported = export_study(study, tmp_path / "exported")  # its networks are rounded
    assert current_localisation(exported.path) == (found,) and outdated(exported) == []
    (again / "direct-s0" / "student.safetensors").write_bytes(
        (again / "direct-s1" / "student.safetensors").read_bytes()
    )
    assert current_localisation(again) == () and outdated(study) == ["localisation.json"]
    notes: list[str] = []
    without = export_study(study, tmp_path / "without", emit=noting(notes))
    assert not (without.path / "localisation.json").exists()
    assert any("localisation.json is left out" in note for note in notes)
    complete_study(read_plan(study), ignore)
    assert not (again / "localisation.json").exists()
    assert "localisation.json is removed" in study.log_text()


def test_the_file_is_plain_json(measured: tuple[Path, Dataset, Measurement]) -> None:
    study, _, found = measured
    raw = json.loads((study / "localisation.json").read_text())
    assert raw["version"] == 1
    assert raw["measurements"][0]["area"]["value"] == pytest.approx(found.area.value)  # type: ignore[union-attr]
    assert StudyFolder(study).state() == "finished"
