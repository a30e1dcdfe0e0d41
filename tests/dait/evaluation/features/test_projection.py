"""The t-SNE maps of a study, in its folder and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dait.errors import UserError
from dait.evaluation.features.projection import write_tsne
from dait.events import Event, Note, Progress
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder


def change_npz(path: Path, **changes: Any) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{**arrays, **changes})


def test_tsne_is_written_for_every_seed_and_then_read(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))  # nothing is kept from before
    events: list[Event] = []
    study = StudyFolder(copied)
    study.write_status(state="evaluating")  # as at the end of a study
    write_tsne(study, events.append)
    with np.load(copied / "tsne.npz") as file:
        students = {
            f"{arm}-s{seed}" for arm in ("direct", "independent", "dait") for seed in (0, 1)
        }
        others = {"indices", "made_of", "vlm", "intermediate", "intermediate-s1"}
        assert set(file.files) == students | others
        kept = {name: file[name] for name in file.files}
    last = events[-1]
    assert isinstance(last, Progress) and last.done == last.total == 9
    study.write_status(state="finished")
    change_npz(copied / "tsne.npz", **{"dait-s1": np.full((12, 2), 7.0)})
    for seed in (0, 1):
        found = Comparison(study, seed).tsne()
        np.testing.assert_array_equal(found.labels, np.arange(12) % 4)
        own = "intermediate" if seed == 0 else "intermediate-s1"
        np.testing.assert_array_equal(found.coordinates["intermediate"], kept[own])
        np.testing.assert_array_equal(found.coordinates["vlm"], kept["vlm"])
    assert (found.coordinates["dait-s1"] == 7).all()  # read, not computed


def test_tsne_is_computed_where_it_is_missing_or_damaged(copied: Path) -> None:
    path, study = copied / "tsne.npz", StudyFolder(copied)
    first = Comparison(study).tsne()
    assert set(first.coordinates) == {m.key for m in Comparison(study).members}
    with np.load(path) as file:
        np.testing.assert_array_equal(file["dait-s0"], first.coordinates["dait-s0"])
    Comparison(study, seed=1).tsne()
    with np.load(path) as file:  # the other seed is added, this one is kept
        assert {"dait-s0", "dait-s1", "intermediate", "intermediate-s1"} <= set(file.files)
    path.write_bytes(b"torn")
    again = Comparison(study).tsne()
    np.testing.assert_allclose(again.coordinates["dait-s0"], first.coordinates["dait-s0"])
    with np.load(path) as file:
        assert "dait-s0" in file.files


def test_tsne_is_shown_where_nothing_can_be_written(copied: Path) -> None:
    # A folder in the way cannot be replaced by a file, whoever runs the tests.
    (copied / "tsne.npz").mkdir()
    (copied / "tsne.npz" / "something").touch()
    assert Comparison(StudyFolder(copied)).tsne().coordinates["vlm"].shape == (12, 2)
    assert not list(copied.glob(".*.tmp"))


def test_too_few_images_are_not_placed(copied: Path) -> None:
    for path in copied.glob("*/predictions.npz"):
        with np.load(path) as file:
            change_npz(path, **{name: file[name][:4] for name in file.files})
    with np.load(copied / "teacher.npz") as file:
        change_npz(copied / "teacher.npz", embeddings=file["embeddings"][:4])
    events: list[Event] = []
    write_tsne(StudyFolder(copied), events.append)
    assert isinstance(events[-1], Note) and "found 4" in events[-1].text
    assert not (copied / "tsne.npz").exists()
    with pytest.raises(UserError, match="at least 5 images"):
        Comparison(StudyFolder(copied)).tsne()


def test_a_map_of_other_features_is_made_anew(copied: Path) -> None:
    study = StudyFolder(copied)
    write_tsne(study)
    before = Comparison(study).tsne().coordinates
    with np.load(copied / "dait-s0" / "predictions.npz") as file:
        pooled = file["pooled"]
    change_npz(copied / "dait-s0" / "predictions.npz", pooled=pooled[::-1])
    after = Comparison(study).tsne().coordinates
    assert not np.array_equal(after["dait-s0"], before["dait-s0"])
    # What an older version wrote does not say of what it is, and is believed.
    with np.load(copied / "tsne.npz") as file:
        arrays = {name: file[name] for name in file.files if name != "made_of"}
    arrays["dait-s0"] = np.full((len(arrays["indices"]), 2), 7.0)
    np.savez(copied / "tsne.npz", **arrays)
    assert (Comparison(study).tsne().coordinates["dait-s0"] == 7).all()
