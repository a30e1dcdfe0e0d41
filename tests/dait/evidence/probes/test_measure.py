"""All figures of a teacher and of a study: right, kept, and refused where they would be wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from dait.data.base import Dataset
from dait.data.fieldguide import FieldGuide
from dait.data.folders.folder import open_folder
from dait.errors import UserError
from dait.evaluation.metrics import evaluate_logits
from dait.evaluation.records import read_study
from dait.evaluation.results.probes import VERSION, ProbeResults, read_probe_results
from dait.evidence.probes.measure import measure_study, measure_teacher
from dait.runs.data import open_data
from dait.runs.folder import StudyFolder
from dait.study.export import export_study
from dait.teachers.embedding import embed_split
from dait.teachers.registry import load_teacher, prototypes_of

pytestmark = pytest.mark.slow

PAIRS = 20
KEYS = [
    *("vlm", "intermediate-s0", "independent-s0", "direct-s0", "dait-s0"),
    *("intermediate-s1", "independent-s1", "direct-s1", "dait-s1"),
]


@pytest.fixture
def teacher(clip_folder: Path) -> Any:
    return load_teacher(f"openclip-local:{clip_folder}")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at an image from now on fails."""

    def looked(*args: Any) -> Tensor:
        raise AssertionError("an image was looked at again")

    monkeypatch.setattr("dait.evidence.probes.measure.embed_split", looked)
    monkeypatch.setattr("dait.evidence.probes.measure.predict_split", looked)


def opened(study: Path) -> tuple[StudyFolder, Any, Dataset]:
    folder = StudyFolder(study)
    recipe = read_study(folder).recipe
    return folder, load_teacher(recipe.teacher.name), open_data(recipe, lambda event: None)


@pytest.fixture(scope="module")
def measured(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with its ``knowledge.json``."""
    study = Path(shutil.copytree(tiny_study, tmp_path_factory.mktemp("measured") / "study"))
    measure_study(*opened(study), pairs=PAIRS)
    return study


def test_the_figures_of_a_teacher(teacher: Any, birds: FieldGuide) -> None:
    found = measure_teacher(teacher, birds, pairs=PAIRS)
    test = birds.split("test")
    logits = embed_split(teacher, test.images) @ prototypes_of(teacher, birds).vectors.T
    expected = evaluate_logits(logits.numpy(), test.labels)
    assert found.zero_shot.top1.value == pytest.approx(expected["top1"])
    assert [found.zero_shot.top1.low, found.zero_shot.top1.high] == expected["top1_interval"]
    assert found.zero_shot.top5.value == pytest.approx(expected["top5"])
    assert found.retrieval is not None and found.retrieval.pairs == PAIRS
    assert found.attributes is not None and len(found.attributes) == 13
    (network,) = found.networks
    assert (network.key, network.seed, network.width) == ("vlm", None, teacher.dim)
    assert {(r.target, r.fitted_to) for r in network.readings} == {
        *(("class", "train"), ("habitat", "train"), ("pose", "train"), ("light", "train")),
        *(("habitat", "new birds"), ("pose", "new birds"), ("light", "new birds")),
    }
    assert network.reading("class").accuracy.count == len(test)  # type: ignore[union-attr]


def test_a_teacher_is_not_measured_twice(
    teacher: Any, birds: FieldGuide, request: pytest.FixtureRequest
) -> None:
    found = measure_teacher(teacher, birds, pairs=PAIRS)
    request.getfixturevalue("no_work")
    assert measure_teacher(teacher, birds, pairs=PAIRS) == found
    with pytest.raises(AssertionError, match="looked at again"):
        measure_teacher(teacher, birds, pairs=PAIRS + 1)


def test_photographs_have_no_attributes_in_words(teacher: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(3):
                noise = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(noise).save(tmp_path / split / name / f"{number}.png")
    found = measure_teacher(teacher, open_folder(tmp_path, size=32), pairs=PAIRS)
    assert found.retrieval is None and found.attributes is None
    assert [reading.target for reading in found.networks[0].readings] == ["class"]


def test_the_networks_of_a_study_are_read(measured: Path, tiny_study: Path) -> None:
    found = read_probe_results(measured / "knowledge.json")
    assert found is not None
    assert [network.key for network in found.networks] == KEYS
    assert [network.seed for network in found.networks] == [None, 0, 0, 0, 0, 1, 1, 1, 1]
    roles = {network.role for network in found.networks}
    assert roles == {"vlm", "intermediate", "independent", "direct", "dait"}
    for network in found.networks:
        for reading in network.readings:
            assert reading.accuracy.count == 12
            assert reading.accuracy.low <= reading.accuracy.value <= reading.accuracy.high
    described = json.loads((tiny_study / "study.json").read_text())
    assert found.zero_shot.top1.value == pytest.approx(described["teacher"]["zero_shot_top1"])


def test_a_study_is_not_measured_twice(measured: Path, request: pytest.FixtureRequest) -> None:
    kept = read_probe_results(measured / "knowledge.json")
    parts = opened(measured)
    request.getfixturevalue("no_work")
    assert measure_study(*parts, pairs=PAIRS) == kept


def test_another_network_is_measured_anew(
    measured: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    study = Path(shutil.copytree(measured, tmp_path / "study"))
    shutil.copyfile(
        study / "direct-s1" / "student.safetensors", study / "dait-s0" / "student.safetensors"
    )
    parts = opened(study)
    request.getfixturevalue("no_work")
    with pytest.raises(AssertionError, match="looked at again"):
        measure_study(*parts, pairs=PAIRS)


def test_a_network_that_is_not_the_one_that_was_tested_is_refused(copied: Path) -> None:
    other = StudyFolder(copied).run("direct", 1).student.read_bytes()
    StudyFolder(copied).run("dait", 0).student.write_bytes(other)
    with pytest.raises(UserError, match="test images are not those"):
        measure_study(*opened(copied), pairs=PAIRS)
    assert not (copied / "knowledge.json").exists()


def test_other_images_than_the_studys_are_refused(copied: Path) -> None:
    folder, teacher, _ = opened(copied)
    recipe = read_study(folder).recipe.changed({"data.test_per_class": 2})
    with pytest.raises(UserError, match="test images are not those"):
        measure_study(folder, teacher, open_data(recipe, lambda event: None), pairs=PAIRS)


def test_another_teacher_than_the_studys_is_refused(copied: Path, teacher: Any) -> None:
    folder, own, data = opened(copied)
    with pytest.raises(UserError, match="was trained with the teacher openclip-local:"):
        measure_study(folder, teacher, data, pairs=PAIRS)
    described = folder.description()
    described["teacher"]["weights_hash"] = "0" * 64
    folder.write_description(described)
    with pytest.raises(UserError, match="has changed since"):
        measure_study(folder, own, data, pairs=PAIRS)


def test_an_unfinished_study_is_refused(copied: Path) -> None:
    folder, teacher, data = opened(copied)
    folder.write_status(state="stopped")
    with pytest.raises(UserError, match="only a finished study"):
        measure_study(folder, teacher, data, pairs=PAIRS)


def test_the_file_says_the_same_when_it_is_read_back(measured: Path) -> None:
    path = measured / "knowledge.json"
    found = read_probe_results(path)
    assert isinstance(found, ProbeResults)
    assert ProbeResults.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("content", ["{", f'{{"version": {VERSION}}}', '"x"', '{"version": "one"}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "knowledge.json").write_text(content)
    with pytest.raises(UserError, match=r"knowledge\.json is damaged"):
        read_probe_results(tmp_path / "knowledge.json")


def test_no_file_and_an_older_one_are_no_figures(tmp_path: Path) -> None:
    assert read_probe_results(tmp_path / "knowledge.json") is None
    (tmp_path / "knowledge.json").write_text(f'{{"version": {VERSION - 1}}}')
    assert read_probe_results(tmp_path / "knowledge.json") is None


def test_an_exported_study_keeps_its_figures(measured: Path, tmp_path: Path) -> None:
    shipped = export_study(StudyFolder(measured), tmp_path / "shipped")
    assert read_probe_results(shipped.path / "knowledge.json") == read_probe_results(
        measured / "knowledge.json"
    )
