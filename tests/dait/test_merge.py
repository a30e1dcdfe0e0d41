"""Studies run apart become one, if they are of the same kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.merge import merge_studies
from dait.runs import StudyFolder


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
