"""What may be done with a study: in every state, by the user of the machine and by a stranger."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from app.config import SPACE_LIMITS, AppConfig
from app.policy import Policy
from app.queue.actions import allowed, require
from app.queue.training_queue import TrainingQueue
from app.studies.entries import StudyEntry, entry_of
from app.studies.ticket import write_ticket
from dait.config.recipe import load_recipe
from dait.errors import UserError
from dait.runs.folder import StudyFolder

KEPT = {"again", "rename", "delete"}


def entry(state: str, **more: object) -> StudyEntry:
    return replace(StudyEntry("tiny-1", "Tiny", state, shipped=False), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("study", "actions", "for_strangers"),
    [
        (entry("queued", waiting_since=1.0), {"cancel", "again", "rename"}, {"again"}),
        (entry("queued", running=True), {"cancel", "again", "rename"}, {"cancel", "again"}),
        (
            entry("training", running=True),
            {"pause", "cancel", "again", "rename"},
            {"pause", "cancel", "again"},
        ),
        (
            entry("preparing", running=True, requested="pause"),
            {"cancel", "again", "rename"},
            {"cancel", "again"},
        ),
        (entry("training"), {"again", "rename"}, {"again"}),  # by a process of another machine
        (entry("paused"), KEPT | {"resume", "retry"}, {"again", "resume", "retry"}),
        (entry("lost"), KEPT | {"resume", "retry"}, {"again", "resume", "retry"}),
        (entry("finished"), KEPT | {"compare"}, {"again", "compare"}),
        (entry("damaged"), {"delete"}, set()),
    ],
)
def test_only_what_applies(
    empty_config: AppConfig, study: StudyEntry, actions: set[str], for_strangers: set[str]
) -> None:
    assert allowed(empty_config, study) == actions
    assert allowed(replace(empty_config, limits=SPACE_LIMITS), study) == for_strangers


def stopped(config: AppConfig, epochs: int) -> StudyFolder:
    study = StudyFolder(config.runs.path / "tiny-20260101-120000-00000001")
    study.write_status(state="stopped", arms=["dait"], seeds=[0])
    recipe = load_recipe("tiny").changed({"train.epochs": epochs})
    (study.path / "recipe.yaml").write_text(recipe.to_yaml())
    return study


def test_a_press_is_checked_as_a_button_is(empty_config: AppConfig) -> None:
    study = stopped(empty_config, 2)
    assert require(empty_config, study.path.name, "resume").path == study.path
    with pytest.raises(UserError, match="is stopped: Pause is not possible"):
        require(empty_config, study.path.name, "pause")
    write_ticket(study, requested="pause")
    with pytest.raises(UserError, match="is paused"):
        require(empty_config, study.path.name, "compare")
    with pytest.raises(UserError, match="not exist any more"):
        require(empty_config, "tiny-20260101-120000-99999999", "resume")
    for name in ("../outside", "/etc", "", None, ["a"]):
        with pytest.raises(UserError):
            require(empty_config, name, "delete")


def test_a_stranger_resumes_no_more_than_may_be_started(empty_config: AppConfig) -> None:
    study = stopped(empty_config, SPACE_LIMITS.epochs + 1)
    space = replace(empty_config, limits=SPACE_LIMITS)
    queue = TrainingQueue(space.runs, allow=Policy(space).require_order)
    for act in (queue.resume, queue.retry):
        with pytest.raises(UserError, match="Duplicate this Space"):
            act(study.path.name)
    assert queue.waiting() == [] and len(list(space.runs.studies())) == 1
    with pytest.raises(UserError, match="Delete is not possible"):
        require(space, study.path.name, "delete")


def test_what_was_asked_of_another_process_is_over(empty_config: AppConfig) -> None:
    study = stopped(empty_config, 2)
    write_ticket(study, requested="pause", pid=1)
    study.write_status(state="training", pid=os.getpid(), started=time.time())
    assert allowed(empty_config, entry_of(study, shipped=False)) >= {"pause", "cancel"}
