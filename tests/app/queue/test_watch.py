"""What a study's files say, in words: every state, and nothing from a file unescaped."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from app.config import AppConfig
from app.queue.run_list import runs_html
from app.queue.watch import card, curves, curves_mark, log_html, log_mark
from app.studies.entries import entry_of, own_studies
from app.studies.ticket import write_ticket
from app.ui.notice import notice
from app.ui.wording import percent
from dait.runs.folder import StudyFolder

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A study of two runs that this very process works on."""
    folder = StudyFolder(tmp_path / "tiny-20260101-120000-00000001")
    runs = [{"arm": arm, "seed": 0, "dir": f"{arm}-s0"} for arm in ("direct", "dait")]
    folder.create(
        {"name": "tiny", "recipe": {"title": "Six species"}, "arms": ["dait"], "runs": runs}
    )
    folder.start_work(state="preparing", message="Drawing the train split: 10 of 48 images")
    return folder


def shown_card(study: StudyFolder) -> str:
    return card(study, entry_of(study, shipped=False))


def listed(*studies: StudyFolder) -> str:
    return runs_html([entry_of(study, shipped=False) for study in studies], "", 30)


def test_preparing_says_what_is_prepared(study: StudyFolder) -> None:
    shown = shown_card(study)
    assert "Six species" in shown and "Preparing" in shown
    assert "Drawing the train split: 10 of 48 images" in shown


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
    shown = shown_card(study)
    for words in ("DAIT, seed 0 (2 of 2)", "stage 2 of 2", "epoch 3 of 30", "about 4 minutes left"):
        assert words in shown
    assert 'aria-valuenow="42"' in shown


def test_a_failure_begins_with_its_sentence_and_ends_with_the_log(study: StudyFolder) -> None:
    study.log("\n".join(f"line {number} of the log" for number in range(20)))
    study.write_status(state="failed", message="The teacher is missing.")
    shown = shown_card(study)
    assert shown.index("The teacher is missing.") < shown.index("line 19 of the log")
    assert "line 3 of the log" not in shown


def test_training_says_what_it_takes_of_the_machine(study: StudyFolder) -> None:
    said = r"It uses [\d.]+ MB of memory; .* processors .* \d+\s% busy"
    assert re.search(said, shown_card(study))
    study.write_status(host="another-machine")
    assert "of memory" not in shown_card(study)


def test_a_training_whose_process_is_gone_is_lost(study: StudyFolder) -> None:
    study.write_status(pid=2**22 + 1, progress=0.5)
    assert "Lost" in shown_card(study) and "restarted" in shown_card(study)


def test_stopped_says_how_far_it_came(study: StudyFolder) -> None:
    study.write_status(state="stopped", progress=0.5)
    assert "It had reached 50" in shown_card(study)


def test_paused_says_that_it_goes_on(study: StudyFolder) -> None:
    study.write_status(state="stopped", progress=0.5)
    write_ticket(study, requested="pause")
    assert "Paused" in shown_card(study) and "It had reached 50" in shown_card(study)


def test_what_is_asked_of_a_training_is_said_until_it_is_done(study: StudyFolder) -> None:
    write_ticket(study, requested="pause", pid=os.getpid())
    assert "Pausing" in shown_card(study) and "Pausing" in listed(study)


def test_who_waits_is_told_the_place_in_the_queue(config: AppConfig) -> None:
    for number in (3, 1, 2):
        waits = StudyFolder(config.runs.path / f"tiny-20990101-120000-0000000{number}")
        waits.write_status(state="queued", title=f"Number {number}", arms=["dait"], seeds=[4])
        write_ticket(waits, waiting_since=1000.0 + number)
    entries = {entry.title: entry for entry in own_studies(config)}
    assert [entries[f"Number {number}"].position for number in (1, 2, 3)] == [1, 2, 3]
    page = runs_html(list(entries.values()), "", 30)
    assert "Queued, 1st" in page and "Queued, 2nd" in page and "Queued, 3rd" in page
    study = StudyFolder(config.runs.resolve(entries["Number 3"].id))
    assert "Queued, 3rd" in card(study, entries["Number 3"])
    assert "2 before it" in card(study, entries["Number 3"])


def test_the_list_says_how_good_each_arm_is(config: AppConfig) -> None:
    (entry,) = own_studies(config)
    results = [run.result() or {} for run in config.runs.studies()[0].runs()]
    mean = sum(result["top1"] for result in results if result["arm"] == "dait") / 2
    assert entry.top1["dait"] == pytest.approx(mean)
    assert percent(mean) in runs_html([entry], entry.id, 30)
    assert 'aria-pressed="true"' in runs_html([entry], entry.id, 30)


def test_a_result_that_changes_is_read_again(config: AppConfig) -> None:
    (study,) = config.runs.studies()
    before = own_studies(config)[0].top1["dait"]
    for seed in (0, 1):
        run = study.run("dait", seed)
        run.write_result({**(run.result() or {}), "top1": 0.125})
    assert before != own_studies(config)[0].top1["dait"] == 0.125


def test_a_long_list_says_that_it_is_cut(config: AppConfig) -> None:
    (entry,) = own_studies(config)
    page = runs_html([entry] * 5, "", 2)
    assert page.count("data-study") == 2 and "3 older ones" in page


def test_finished_says_the_accuracies(config: AppConfig) -> None:
    study = config.runs.studies()[0]
    shown = shown_card(study)
    assert "Finished" in shown
    assert shown.count("seed 0") == 3 and shown.count("seed 1") == 3


def test_a_damaged_study_is_listed_and_said(study: StudyFolder) -> None:
    (study.path / "status.json").write_text("{")
    assert "damaged" in shown_card(study)
    assert "Damaged" in listed(study)


def test_curves_come_with_the_first_epoch(study: StudyFolder) -> None:
    before = curves_mark([study], "accuracy")
    assert curves({"mine": study}) is None
    row = {"stage": "student", "epoch": 1, "epochs": 2, "loss": 1.5, "val_top1": 0.25}
    study.run("direct", 0).append_metrics(row)
    figure = json.loads(curves({"mine": study}) or "")
    assert any(trace["name"].startswith("Direct distillation") for trace in figure["data"])
    assert curves_mark([study], "accuracy") != before
    assert curves_mark([study], "speed") != curves_mark([study], "accuracy")


def test_the_log_is_read_when_it_has_grown(study: StudyFolder) -> None:
    before = log_mark(study)
    assert log_mark(study) == before
    study.log("a line")
    assert log_mark(study) != before


def test_names_from_files_stay_text(study: StudyFolder) -> None:
    study.write_description({"name": EVIL, "recipe": {"title": EVIL}, "arms": [EVIL], "runs": []})
    study.log(EVIL)
    write_ticket(study, name=EVIL)
    study.write_status(state="failed", message=EVIL)
    for page in (shown_card(study), log_html(study), listed(study)):
        assert "onerror" in page and "<img" not in page


def test_what_the_training_printed_goes_before_its_log(study: StudyFolder) -> None:
    study.log("a line of the log")
    assert "a line of the log" in log_html(study)
    (study.path / "output.txt").write_text("what it printed")
    assert "what it printed" in log_html(study) and "a line of the log" not in log_html(study)


def test_a_queued_study_is_called_by_its_recipe(tmp_path: Path) -> None:
    queued = StudyFolder(tmp_path / "tiny-20260101-120000-00000003")
    queued.write_status(state="queued", title="Six species")
    assert "Six species" in shown_card(queued)


def test_the_newest_study_is_listed_first(config: AppConfig) -> None:
    newer = StudyFolder(config.runs.path / "tiny-20990101-120000-00000002")
    newer.create({"name": "tiny"})
    newer.write_status(state="stopped", started=time.time() + 60)
    assert own_studies(config)[0].id == newer.path.name


def test_what_the_page_says_of_a_training_holds_no_path_of_the_machine(
    config: AppConfig, tmp_path: Path
) -> None:
    study = StudyFolder(config.runs.path / "broken")
    secret = tmp_path / "somewhere" / "photographs.zip"
    study.write_status(state="failed", message=f"‘{secret}’ cannot be read.")
    study.log(f"Reading {secret}")
    shown = [log_html(study), card(study, entry_of(study, shipped=False))]
    (study.path / "output.txt").write_text(f'File "{secret}", line 3\n{study.path}/log.txt\n')
    shown += [log_html(study), card(study, entry_of(study, shipped=False))]
    (study.path / "study.json").write_text("{")
    shown.append(card(study, entry_of(study, shipped=False)))
    assert all("photographs.zip" in html for html in shown[:4])
    assert "broken/study.json is damaged" in shown[-1]
    assert not any(str(tmp_path) in html for html in shown)
    assert str(tmp_path) not in notice(f"There is nothing at {secret}.")
