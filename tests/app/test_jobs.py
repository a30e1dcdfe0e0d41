"""Trainings as child processes: real ones, with a few lines standing for the trainer."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app import jobs as jobs_module
from app.jobs import Jobs, Order, output_tail
from dait.errors import UserError
from dait.recipe import Recipe
from dait.runs import RunsRoot, StudyFolder

ORDER = Order(Recipe(name="tiny"), ("direct", "dait"), (0, 1))
BEGIN = """
import signal, subprocess, sys, time
from dait.runs import StudyFolder
study = StudyFolder(sys.argv[1])
"""
OBEDIENT = f"""{BEGIN}
def end(*_):
    study.write_status(state="stopped", message="as it was told")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
study.claim(state="training", message="at work")
time.sleep(60)
"""
DEAF = f"""{BEGIN}
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
study.claim(state="preparing", message=str(child.pid))
time.sleep(60)
"""
DONE = f"""{BEGIN}
study.claim(state="training")
print("all went well")
study.write_status(state="finished", progress=1.0)
"""
CRASH = f"""{BEGIN}
study.claim(state="training")
sys.exit("the roof fell in")
"""
NEVER_BEGINS = "raise SystemExit('no such recipe')"
SLOW_START = "import time; time.sleep(60)"

Start = Callable[[str], tuple[Jobs, StudyFolder]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a stand-in trainer; whatever still runs at the end is ended."""
    root = RunsRoot(tmp_path)
    started: list[Jobs] = []

    def begin(code: str) -> tuple[Jobs, StudyFolder]:
        jobs = Jobs(root, lambda folder, order: [sys.executable, "-c", code, str(folder)])
        started.append(jobs)
        return jobs, StudyFolder(root.resolve(jobs.start(ORDER)))

    yield begin
    for jobs in started:
        running = jobs.running()
        if running is not None:
            jobs.stop(running.path.name)


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_start_leaves_everything_that_a_page_needs(start: Start) -> None:
    jobs, study = start(DONE)
    wait_for(lambda: study.state() == "finished")
    assert study.path.name.startswith("tiny-")
    assert (study.path / "recipe.yaml").read_text() == ORDER.recipe.to_yaml()
    assert study.status()["arms"] == ["direct", "dait"]
    wait_for(lambda: output_tail(study) == "all went well")
    assert jobs.running() is None


def test_before_the_trainer_begins_the_study_is_queued(start: Start) -> None:
    jobs, study = start(SLOW_START)
    assert study.state() == "queued"
    running = jobs.running()
    assert running is not None and running.path == study.path


def test_stop_in_the_queue(start: Start) -> None:
    jobs, study = start(SLOW_START)
    pid = study.status()["pid"]
    jobs.stop(study.path.name)
    assert study.state() == "stopped"
    wait_for(lambda: not psutil.pid_exists(pid))


def test_an_obedient_training_ends_in_its_own_words(start: Start) -> None:
    jobs, study = start(OBEDIENT)
    wait_for(lambda: study.state() == "training")
    jobs.stop(study.path.name)
    assert study.status()["state"] == "stopped"
    assert study.status()["message"] == "as it was told"
    assert jobs.running() is None


def test_a_deaf_training_is_killed_with_its_children(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "GRACE_SECONDS", 0.3)
    jobs, study = start(DEAF)
    wait_for(lambda: study.state() == "preparing")
    pid, child = study.status()["pid"], int(study.status()["message"])
    jobs.stop(study.path.name)
    assert study.status()["state"] == "stopped"
    wait_for(lambda: not psutil.pid_exists(pid))
    wait_for(lambda: not psutil.pid_exists(child) or is_zombie(child))


def is_zombie(pid: int) -> bool:
    # An orphan is reaped by whoever is the first process of this machine, which may be nobody.
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_run_that_was_at_work_is_stopped_with_its_study(start: Start) -> None:
    jobs, study = start(OBEDIENT)
    wait_for(lambda: study.state() == "training")
    run = study.run("dait", 0)
    run.write_status(state="training", pid=study.status()["pid"], started=time.time())
    jobs.stop(study.path.name)
    assert run.status()["state"] == "stopped"


@pytest.mark.parametrize(("code", "last_words"), [(CRASH, "roof"), (NEVER_BEGINS, "no such")])
def test_an_end_without_a_last_state_is_a_failure(start: Start, code: str, last_words: str) -> None:
    _, study = start(code)
    pid = study.status()["pid"]
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


def test_one_training_at_a_time(start: Start, tmp_path: Path) -> None:
    jobs, study = start(OBEDIENT)
    with pytest.raises(UserError, match=study.path.name):
        jobs.start(ORDER)
    assert [folder.path for folder in RunsRoot(tmp_path).studies()] == [study.path]


def test_a_new_server_finds_the_training_and_stops_it(start: Start, tmp_path: Path) -> None:
    _, study = start(OBEDIENT)
    wait_for(lambda: study.state() == "training")
    fresh = Jobs(RunsRoot(tmp_path))
    found = fresh.running()
    assert found is not None and found.path == study.path
    with pytest.raises(UserError, match="still training"):
        fresh.start(ORDER)
    fresh.stop(study.path.name)
    assert study.state() == "stopped"


def test_what_does_not_run_cannot_be_stopped(start: Start) -> None:
    jobs, study = start(DONE)
    wait_for(lambda: study.state() == "finished")
    with pytest.raises(UserError, match="nothing to stop"):
        jobs.stop(study.path.name)
    with pytest.raises(UserError, match="nothing to stop"):
        jobs.stop("tiny-20260101-000000-00000000")


def test_a_study_that_nobody_will_start_does_not_block_the_others(
    start: Start, tmp_path: Path
) -> None:
    StudyFolder(tmp_path / "tiny-20260101-000000-00000000").write_status(state="queued")
    _, study = start(DONE)
    wait_for(lambda: study.state() == "finished")


@pytest.mark.parametrize("name", ["../outside", "/etc", "a/../../b", "", "a b", "a/b/c"])
def test_ids_lead_nowhere_else(start: Start, name: str) -> None:
    jobs, _ = start(DONE)
    with pytest.raises(UserError):
        jobs.stop(name)


def test_a_trainer_that_cannot_be_started_leaves_nothing_behind(tmp_path: Path) -> None:
    jobs = Jobs(RunsRoot(tmp_path), lambda folder, order: ["/nonexistent/python"])
    with pytest.raises(UserError, match="could not be started"):
        jobs.start(ORDER)
    assert jobs.running() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_real_command_trains_a_study(tmp_path: Path, tiny_study: Path) -> None:
    teacher = StudyFolder(tiny_study).description()["recipe"]["teacher"]["name"]
    network = {"name": "resnet10t", "options": {"channels": [8, 8, 8, 8], "stem_width": 8}}
    recipe = Recipe.model_validate(
        {
            "name": "small",
            "data": {"size": 32, "species": 3, "train_per_class": 4, "val_per_class": 2}
            | {"test_per_class": 3},
            "teacher": {"name": teacher},
            "student": network,
            "intermediate": network,
            "train": {"epochs": 1, "batch_size": 4},
        }
    )
    jobs = Jobs(RunsRoot(tmp_path))
    study = StudyFolder(tmp_path / jobs.start(Order(recipe, ("independent",), (3,))))
    wait_for(lambda: jobs.running() is None, seconds=200)
    assert study.state() == "finished", output_tail(study)
    result = study.run("independent", 3).result()
    assert result is not None and 0 <= result["top1"] <= 1
