"""Studies run apart become one, if they are of the same kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dait.errors import UserError
from dait.evaluation.features.projection import write_tsne
from dait.events import Event, Note
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder
from dait.study.merge import merge_studies


def _only(seed: int, study: Path, out: Path) -> StudyFolder:
    """A copy of ``study`` as if it had been run with one seed alone."""
    shutil.copytree(study, out)
    folder = StudyFolder(out)
    description = folder.description()
    for row in description["runs"]:
        if row["seed"] != seed:
            shutil.rmtree(out / row["dir"])
    runs = [row for row in description["runs"] if row["seed"] == seed]
    folder.write_description(description | {"seeds": [seed], "runs": runs})
    return folder


@pytest.fixture
def halves(tiny_study: Path, tmp_path: Path) -> list[StudyFolder]:
    seeds = StudyFolder(tiny_study).description()["seeds"]
    return [_only(seed, tiny_study, tmp_path / f"seed-{seed}") for seed in seeds[:2]]


def test_two_seeds_run_apart_compare_like_one_study(
    tiny_study: Path, halves: list[StudyFolder], tmp_path: Path
) -> None:
    merged = Comparison(merge_studies(halves, tmp_path / "merged"))
    whole = Comparison(StudyFolder(tiny_study))

    assert merged.seeds == whole.seeds
    assert [row["top1"] for row in merged.table()] == [row["top1"] for row in whole.table()]
    assert [row["sd"] for row in merged.table()] == [row["sd"] for row in whole.table()]


def test_a_study_of_an_older_version_joins_one_of_now(
    halves: list[StudyFolder], tmp_path: Path
) -> None:
    described = halves[0].description()
    for setting in ("crop_pct", "fit"):
        described["recipe"]["data"].pop(setting, None)
    halves[0].write_description(described)
    merged = merge_studies(halves, tmp_path / "merged")
    assert merged.description()["recipe"] == halves[1].description()["recipe"]


def test_what_does_not_belong_together_is_refused(
    halves: list[StudyFolder], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="More than one of the studies holds"):
        merge_studies([halves[0], halves[0]], tmp_path / "a")
    with pytest.raises(UserError, match="at least two"):
        merge_studies(halves[:1], tmp_path / "b")
    other = halves[1]
    other.write_description(other.description() | {"recipe": {"name": "another"}})
    with pytest.raises(UserError, match=r"differs from .* in recipe"):
        merge_studies(halves, tmp_path / "c")
    assert not any((tmp_path / name).exists() for name in "abc")


def test_what_was_measured_of_one_study_is_not_taken_for_all(
    halves: list[StudyFolder], tmp_path: Path
) -> None:
    """The first study's maps, probes and heatmaps know its own networks alone."""
    one, two = halves
    write_tsne(one)
    (one.path / "umap.npz").write_bytes((one.path / "tsne.npz").read_bytes())
    (one.path / "localisation.json").write_text('{"version": 1, "measurements": []}')
    (one.path / "knowledge.json").write_text('{"version": 2}')
    for study, name in ((one, "dait-s0/a/mass"), (two, "dait-s1/b/mass")):
        np.savez(study.path / "localisation.npz", **{name: np.zeros(3)})
    (one.path / "ticket.json").write_text('{"name": "seed 0"}')
    heard: list[Event] = []
    merged = merge_studies(halves, tmp_path / "merged", heard.append)

    for name in ("localisation.json", "knowledge.json", "umap.npz"):
        assert not (merged.path / name).exists()
        assert any(isinstance(event, Note) and name in event.text for event in heard)
        assert f"{name} is left out" in merged.log_text()
    assert not (merged.path / "ticket.json").exists()
    with np.load(merged.path / "tsne.npz") as arrays:
        assert {"dait-s0", "dait-s1", "intermediate", "intermediate-s1"} <= set(arrays.files)
    with np.load(merged.path / "localisation.npz") as arrays:  # of single images: these hold
        assert set(arrays.files) == {"dait-s0/a/mass", "dait-s1/b/mass"}


def test_studies_of_other_test_images_are_refused(
    halves: list[StudyFolder], tmp_path: Path
) -> None:
    one, two = halves
    for run in two.runs():
        with np.load(run.predictions) as arrays:
            changed = dict(arrays) | {"ids": np.array([f"other/{i}" for i in arrays["ids"]])}
        np.savez(run.predictions, **changed)
    with pytest.raises(UserError, match="tested on other images"):
        merge_studies(halves, tmp_path / "a")
    with np.load(one.path / "teacher.npz") as arrays:
        turned = dict(arrays) | {"embeddings": arrays["embeddings"][::-1]}
    np.savez(two.path / "teacher.npz", **turned)
    for run in two.runs():
        run.predictions.unlink()
    with pytest.raises(UserError, match="saw other test images"):
        merge_studies(halves, tmp_path / "b")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
