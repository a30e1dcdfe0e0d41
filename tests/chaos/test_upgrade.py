"""Studies of earlier versions (``tests/fixtures/make_study.py``) open, compare and resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.config import AppConfig
from app.studies.entries import entry_of, own_studies
from dait.errors import UserError
from dait.events import Event, Note
from dait.evidence.comparison import Comparison
from dait.runs.folder import RunsRoot, StudyFolder
from dait.study.plan import read_plan
from dait.study.train import run_task, train_study

STUDIES = sorted((Path(__file__).parents[1] / "fixtures").glob("study-*"))
LATER = 99
"""A version of every format that nobody has written yet."""


@pytest.fixture(params=STUDIES, ids=lambda path: path.name)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> StudyFolder:
    return StudyFolder(shutil.copytree(request.param, tmp_path / "runs" / "earlier"))


def resumed(study: StudyFolder) -> tuple[list[dict[str, Any]], list[str]]:
    """The results, and the notes that were given."""
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    return train_study(read_plan(study), listen), notes


def test_it_is_listed_and_resumes_from_its_checkpoint(study: StudyFolder) -> None:
    config = AppConfig(RunsRoot(study.path.parent), RunsRoot(study.path / "none"))
    (entry,) = own_studies(config)
    assert entry.id == "earlier" and entry.state != "damaged", entry.message
    before = {run.path.name: run.result() for run in study.runs()}
    assert before["dait-s0"] is None and before["independent-s0"] is not None
    try:
        results, notes = resumed(study)
    except UserError as error:  # other versions of what draws and reads the images
        assert "versions" in str(error) or "changed" in str(error), error
        return
    assert any("resumed after step" in note for note in notes), notes
    assert before["independent-s0"] in results and len(results) == 3
    assert entry_of(study, shipped=False).state == "finished"
    comparison = Comparison(study)
    assert {row["role"] for row in comparison.table()} >= {"independent", "direct", "dait"}
    assert comparison.explain(comparison.test_image(0)[0])


def test_a_checkpoint_of_a_later_version_says_so(study: StudyFolder) -> None:
    (steps,) = study.path.rglob("steps-*.pt")
    content = steps.read_bytes()
    first, rest = content.split(b"\n", 1)
    steps.write_bytes(first.rsplit(b"-", 1)[0] + b"-%d\n" % LATER + rest)
    with pytest.raises(UserError, match=f"version {LATER}"):
        run_task(read_plan(study), 2, lambda event: None)
    assert steps.exists()


@pytest.mark.parametrize("name", ["study.json", "status.json", "independent-s0/result.json"])
def test_a_file_of_a_later_version_says_so(study: StudyFolder, name: str) -> None:
    file = study.path / name
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": LATER}))
    with pytest.raises(UserError, match=f"version {LATER}"):
        resumed(study)
    assert json.loads(file.read_text())["format"] == LATER


def test_a_damaged_one_says_what_is_damaged(study: StudyFolder) -> None:
    (study.path / "study.json").write_text("{")
    with pytest.raises(UserError, match=r"study\.json"):
        resumed(study)
