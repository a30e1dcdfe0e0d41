"""What a study's files say, in words: every state, and nothing from a file unescaped."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from app.place import Place
from app.studies import entry_of, own_studies
from app.tables import studies_table
from app.watch import card, curves, fingerprint, is_running, log_html
from dait.runs import StudyFolder

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A study of two runs that this very process works on."""
    folder = StudyFolder(tmp_path / "tiny-20260101-120000-00000001")
    runs = [{"arm": arm, "seed": 0, "dir": f"{arm}-s0"} for arm in ("direct", "dait")]
    folder.create(
        {"name": "tiny", "recipe": {"title": "Six species"}, "arms": ["dait"], "runs": runs}
    )
    folder.claim(state="preparing", message="Drawing the train split: 10 of 48 images")
    return folder


def test_preparing_says_what_is_prepared(study: StudyFolder) -> None:
    shown = card(study)
    assert "Six species" in shown and "Preparing" in shown
    assert "Drawing the train split: 10 of 48 images" in shown
    assert is_running(study)


def test_training_says_which_arm_stage_and_epoch_and_how_long(study: StudyFolder) -> None:
    study.write_status(
        state="training",
        run_index=1,
        run_count=2,
        arm="dait",
        seed=0,
        stage="student",
        stage_index=1,
        stage_count=2,
        epoch=3,
        epochs=30,
        progress=0.42,
        eta_seconds=236.0,
    )
    shown = card(study)
    for words in ("DAIT, seed 0 (2 of 2)", "stage 2 of 2", "epoch 3 of 30", "about 4 minutes left"):
        assert words in shown
    assert 'aria-valuenow="42"' in shown


def test_a_failure_begins_with_its_sentence_and_ends_with_the_log(study: StudyFolder) -> None:
    study.log("the last line of the log")
    study.write_status(state="failed", message="The teacher is missing.")
    shown = card(study)
    assert shown.index("The teacher is missing.") < shown.index("the last line of the log")
    assert not is_running(study)


def test_a_training_whose_process_is_gone_is_lost(study: StudyFolder) -> None:
    study.write_status(pid=2**22 + 1, progress=0.5)
    assert "Lost" in card(study) and "restarted" in card(study)
    assert not is_running(study)


def test_stopped_says_how_far_it_came(study: StudyFolder) -> None:
    study.write_status(state="stopped", progress=0.5)
    assert "It had come to 50" in card(study)


def test_finished_says_the_accuracies(place: Place) -> None:
    study = place.runs.studies()[0]
    shown = card(study)
    assert "Finished" in shown
    assert shown.count("seed 0") == 3 and shown.count("seed 1") == 3


def test_a_damaged_study_is_listed_and_said(study: StudyFolder) -> None:
    (study.path / "status.json").write_text("{")
    assert "damaged" in card(study)
    assert "Damaged" in studies_table([entry_of(study, shipped=False)])


def test_curves_come_with_the_first_epoch(study: StudyFolder) -> None:
    before = fingerprint(study)
    assert curves(study) is None
    row = {"stage": "student", "epoch": 1, "epochs": 2, "loss": 1.5, "val_top1": 0.25}
    study.run("direct", 0).append_metrics(row)
    figure = json.loads(curves(study) or "")
    assert any(trace["name"].startswith("Direct distillation") for trace in figure["data"])
    assert fingerprint(study) != before


def test_names_from_files_stay_text(study: StudyFolder) -> None:
    study.write_description({"name": EVIL, "recipe": {"title": EVIL}, "arms": [EVIL], "runs": []})
    study.log(EVIL)
    study.write_status(state="failed", message=EVIL)
    listed = studies_table([entry_of(study, shipped=False)])
    for page in (card(study), log_html(study), listed):
        assert "onerror" in page and "<img" not in page


def test_what_the_training_printed_goes_before_its_log(study: StudyFolder) -> None:
    study.log("a line of the log")
    assert "a line of the log" in log_html(study)
    (study.path / "output.txt").write_text("what it printed")
    assert "what it printed" in log_html(study) and "a line of the log" not in log_html(study)


def test_a_queued_study_is_called_by_its_recipe(tmp_path: Path) -> None:
    queued = StudyFolder(tmp_path / "tiny-20260101-120000-00000003")
    queued.write_status(state="queued", title="Six species")
    assert "Six species" in card(queued)


def test_the_newest_study_is_listed_first(place: Place) -> None:
    newer = StudyFolder(place.runs.path / "tiny-20990101-120000-00000002")
    newer.create({"name": "tiny"})
    newer.write_status(state="stopped", started=time.time() + 60)
    assert own_studies(place)[0].id == newer.path.name
