"""Trainings as child processes: real ones, with a few lines standing for the trainer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from trainers import (
    CRASH,
    DEAF,
    DONE,
    NEVER_BEGINS,
    OBEDIENT,
    ORDER,
    SLOW_START,
    jobs_of,
    wait_for,
)

from app.queue import processes
from app.queue.trainer import output_tail
from app.queue.training_queue import TrainingQueue
from app.studies.ticket import read_ticket, state_of
from dait.errors import UserError
from dait.runs.folder import RunsRoot, StudyFolder
from dait.storage.processors import processors

Start = Callable[[str], tuple[TrainingQueue, StudyFolder]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a stand-in trainer; whatever still runs at the end is ended."""

    def begin(code: str) -> tuple[TrainingQueue, StudyFolder]:
        queue = jobs_of(tmp_path, code)
        return queue, StudyFolder(queue.runs.resolve(queue.start(ORDER)))

    yield begin
    last = jobs_of(tmp_path, DONE)
    for study in [*last.waiting(), *last.working()]:
        last.cancel(study.path.name)


def test_a_start_leaves_everything_that_a_page_needs(start: Start) -> None:
    queue, study = start(DONE)
    wait_for(lambda: study.state() == "finished")
    assert study.path.name.startswith("tiny-")
    assert (study.path / "recipe.yaml").read_text() == ORDER.recipe.to_yaml()
    assert study.status()["arms"] == ["direct", "dait"]
    wait_for(lambda: output_tail(study) == "all went well")
    assert not queue.working()


def test_before_the_trainer_begins_the_study_is_queued(start: Start) -> None:
    queue, study = start(SLOW_START)
    assert state_of(study) == "queued"
    assert [running.path for running in queue.working()] == [study.path] and not queue.waiting()


def test_cancelled_before_the_trainer_has_said_a_word(start: Start) -> None:
    queue, study = start(SLOW_START)
    pid = read_ticket(study).pid
    assert pid is not None
    queue.cancel(study.path.name)
    assert state_of(study) == "stopped"
    wait_for(lambda: not psutil.pid_exists(pid))


def test_an_obedient_training_ends_in_its_own_words(start: Start) -> None:
    queue, study = start(OBEDIENT)
    wait_for(lambda: study.state() == "training")
    queue.cancel(study.path.name)
    assert study.status()["state"] == "stopped"
    assert study.status()["message"] == "as it was told"
    assert not queue.working()


def test_a_deaf_training_is_killed_with_its_children(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.3)
    queue, study = start(DEAF)
    wait_for(lambda: study.state() == "preparing")
    pid, child = study.status()["pid"], int(study.status()["message"])
    queue.cancel(study.path.name)
    assert study.status()["state"] == "stopped"
    wait_for(lambda: not psutil.pid_exists(pid))
    wait_for(lambda: not psutil.pid_exists(child) or is_zombie(child))


def is_zombie(pid: int) -> bool:
    # An orphan is reaped by whoever is the first process of this machine, which may be nobody.
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_run_that_was_at_work_is_stopped_with_its_study(start: Start) -> None:
    queue, study = start(OBEDIENT)
    wait_for(lambda: study.state() == "training")
    run = study.run("dait", 0)
    run.write_status(state="training", pid=study.status()["pid"], started=time.time())
    queue.cancel(study.path.name)
    assert run.status()["state"] == "stopped"


@pytest.mark.parametrize(("code", "last_words"), [(CRASH, "roof"), (NEVER_BEGINS, "no such")])
def test_an_end_without_a_last_state_is_a_failure(start: Start, code: str, last_words: str) -> None:
    _, study = start(code)
    pid = read_ticket(study).pid
    assert pid is not None
    wait_for(lambda: study.state() == "failed")
    assert "exit code 1" in study.status()["message"]
    assert last_words in study.status()["message"]
    assert not psutil.pid_exists(pid)  # reaped: a zombie would look alive to others


def test_a_killed_training_says_what_is_most_likely(start: Start) -> None:
    _, study = start(OBEDIENT)
    wait_for(lambda: study.state() == "training")
    os.kill(study.status()["pid"], signal.SIGKILL)
    wait_for(lambda: study.state() == "failed")
    assert "memory" in study.status()["message"]


def test_a_new_server_finds_the_training_and_stops_it(start: Start, tmp_path: Path) -> None:
    _, study = start(OBEDIENT)
    wait_for(lambda: study.state() == "training")
    fresh = jobs_of(tmp_path, DONE)
    assert [found.path for found in fresh.working()] == [study.path]
    fresh.cancel(study.path.name)
    assert study.state() == "stopped"


def test_what_does_not_run_cannot_be_stopped(start: Start) -> None:
    queue, study = start(DONE)
    wait_for(lambda: study.state() == "finished")
    with pytest.raises(UserError, match="nothing to cancel"):
        queue.cancel(study.path.name)
    with pytest.raises(UserError, match="no study called"):
        queue.cancel("tiny-20260101-000000-00000000")


def test_a_study_that_nobody_will_start_does_not_block_the_others(
    start: Start, tmp_path: Path
) -> None:
    StudyFolder(tmp_path / "tiny-20260101-000000-00000000").write_status(state="queued")
    _, study = start(DONE)
    wait_for(lambda: study.state() == "finished")


@pytest.mark.parametrize("name", ["../outside", "/etc", "a/../../b", "", "a b", "a/b/c"])
def test_ids_lead_nowhere_else(start: Start, name: str) -> None:
    queue, _ = start(DONE)
    with pytest.raises(UserError):
        queue.cancel(name)


def test_a_trainer_that_cannot_be_started_says_so(tmp_path: Path) -> None:
    queue = TrainingQueue(RunsRoot(tmp_path), command=lambda folder, order: ["/nonexistent/python"])
    study = StudyFolder(tmp_path / queue.start(ORDER))
    assert study.state() == "failed"
    assert "could not be started" in study.status()["message"]
    assert not queue.working() and not queue.waiting()


def test_trainers_that_share_the_machine_share_its_processors(tmp_path: Path) -> None:
    queue = jobs_of(tmp_path, "import os; print(os.environ.get('OMP_NUM_THREADS'))", at_once=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        study = StudyFolder(tmp_path / queue.start(ORDER))
    wait_for(lambda: study.state() == "failed")
    assert output_tail(study) == str(max(1, processors() // 2))
