"""Lists of studies are kept between polls, and follow every change of a file."""

from __future__ import annotations

import json
from pathlib import Path

from app.config import AppConfig
from app.studies.entries import StudyEntry, own_studies
from app.studies.ticket import write_ticket
from dait.runs.folder import RunFolder, StudyFolder


def only(config: AppConfig) -> StudyEntry:
    (entry,) = own_studies(config)
    assert own_studies(config) == [entry]
    return entry


def test_the_list_follows_every_change_of_a_finished_study(config: AppConfig) -> None:
    (study,) = config.runs.studies()
    first = only(config)
    assert first.state == "finished" and first.top1

    write_ticket(study, name="Renamed")
    assert only(config).title == "Renamed"

    run: RunFolder = study.runs()[0]
    result = run.result()
    assert result is not None
    run.write_result({**result, "top1": 0.125})
    others = [other.result() for other in study.runs()]
    same_arm = [row["top1"] for row in others if row and row["arm"] == result["arm"]]
    assert only(config).top1[result["arm"]] == sum(same_arm) / len(same_arm)

    # Edited in place, not replaced by a rename.
    (run.path / "result.json").write_text('{"arm": 3}')
    assert only(config).state == "damaged"
    run.write_result(result)
    assert only(config).top1 == first.top1

    study.write_status(state="training", pid=None)
    assert only(config).state == "lost"


def test_the_list_follows_every_change_of_a_study_that_stopped(config: AppConfig) -> None:
    (study,) = config.runs.studies()
    for state in ("stopped", "failed"):
        study.write_status(state=state, message="")
        assert only(config).state == state
        study.write_status(message="why")
        assert only(config).message == "why"
    study.write_status(state="stopped")
    write_ticket(study, requested="pause")
    assert only(config).state == "paused"
    write_ticket(study, requested="", waiting_since=1.0)
    assert (only(config).state, only(config).position) == ("queued", 1)


def test_a_study_of_tasks_follows_what_its_runs_say(config: AppConfig) -> None:
    (study,) = config.runs.studies()
    study.write_status(state="queued", tasks=True, pid=None)
    run = study.runs()[0]
    run.write_status(state="failed")
    assert only(config).state == "failed"
    run.write_status(state="stopped")
    assert only(config).state == "stopped"


def test_the_order_follows_the_start_that_a_study_states(config: AppConfig) -> None:
    (old,) = config.runs.studies()
    new = StudyFolder(old.path.with_name("tiny-20270101-120000-0a1b2c3d"))
    new.write_status(state="finished", started=2e9)
    assert [study.path.name for study in config.runs.studies()] == [new.path.name, old.path.name]
    new.write_status(started=1.0)
    assert [study.path.name for study in config.runs.studies()] == [old.path.name, new.path.name]


def test_a_link_out_of_the_runs_folder_is_not_listed(config: AppConfig, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "tiny-20280101-120000-0a1b2c3d"
    outside.mkdir(parents=True)
    (outside / "status.json").write_text(json.dumps({"state": "finished"}))
    names = [study.path.name for study in config.runs.studies()]
    (config.runs.path / outside.name).symlink_to(outside)
    assert [study.path.name for study in config.runs.studies()] == names
