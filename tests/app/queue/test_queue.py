"""The queue, which is files: its order, several servers over it, and what outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from trainers import DEAF, DONE, OBEDIENT, ORDER, SLOW_START, jobs_of, wait_for

from app.config import PROJECT
from app.queue import processes
from app.queue.training_queue import TrainingQueue
from app.studies.order import order_of
from app.studies.ticket import FILE, process_of, read_ticket, state_of, write_ticket
from dait.errors import UserError
from dait.runs.folder import StudyFolder

SERVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from trainers import OBEDIENT, ORDER, jobs_of
jobs = jobs_of(Path(sys.argv[1]), OBEDIENT)
jobs.start(ORDER)
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A runs folder; whatever still waits or runs at the end is ended."""
    yield tmp_path
    last = jobs_of(tmp_path, DONE)
    for study in [*last.waiting(), *last.working()]:
        last.cancel(study.path.name)


def begun(queue: TrainingQueue, count: int = 1) -> list[StudyFolder]:
    """So many studies, put into the queue one after the other."""
    return [StudyFolder(queue.runs.resolve(queue.start(ORDER))) for _ in range(count)]


def trains(study: StudyFolder) -> Callable[[], bool]:
    return lambda: study.state() == "training"


def finish(study: StudyFolder) -> None:
    (study.path / "enough").touch()
    wait_for(lambda: state_of(study) == "finished")


def test_one_at_a_time_in_the_order_of_their_starts(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    first, second, third = begun(queue, 3)
    assert [study.path for study in queue.waiting()] == [second.path, third.path]
    wait_for(trains(first))
    assert [state_of(study) for study in (second, third)] == ["queued", "queued"]
    finish(first)
    wait_for(trains(second))
    assert [study.path for study in queue.waiting()] == [third.path]
    assert [study.path for study in queue.working()] == [second.path]


def test_as_many_at_once_as_it_is_told(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT, at_once=2)
    first, second, third = begun(queue, 3)
    wait_for(trains(first))
    wait_for(trains(second))
    assert [study.path for study in queue.waiting()] == [third.path]


def test_a_queue_has_an_end(root: Path) -> None:
    queue = jobs_of(root, SLOW_START, most_waiting=1)
    begun(queue, 2)
    with pytest.raises(UserError, match="1 studies are waiting already"):
        queue.start(ORDER)
    assert len(queue.runs.studies()) == 2


def test_what_waits_is_taken_out_and_begun_later(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    first, second, third = begun(queue, 3)
    queue.cancel(second.path.name)
    assert state_of(second) == "stopped" and "queue" in second.status()["message"]
    queue.resume(second.path.name)
    assert [study.path for study in queue.waiting()] == [third.path, second.path]
    queue.cancel(first.path.name)
    wait_for(trains(third))


def test_a_cancelled_training_makes_room(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    first, second = begun(queue, 2)
    wait_for(trains(first))
    queue.cancel(first.path.name)
    wait_for(trains(second))
    assert state_of(first) == "stopped"


def test_paused_it_ends_in_its_own_time_and_goes_on_later(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    (study,) = begun(queue)
    wait_for(trains(study))
    queue.pause(study.path.name)
    wait_for(lambda: state_of(study) == "paused")
    with pytest.raises(UserError, match="paused: there is nothing to pause"):
        queue.pause(study.path.name)
    queue.resume(study.path.name)
    wait_for(trains(study))
    assert study.status()["progress"] == 0.25 and read_ticket(study).requested == ""
    finish(study)
    with pytest.raises(UserError, match="finished: it cannot be resumed"):
        queue.resume(study.path.name)


def test_what_does_not_hear_that_it_should_pause_can_be_cancelled(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.2)
    queue = jobs_of(root, DEAF)
    (study,) = begun(queue)
    wait_for(lambda: study.state() == "preparing")
    queue.pause(study.path.name)
    assert process_of(study) is not None and state_of(study) == "preparing"
    queue.cancel(study.path.name)
    assert state_of(study) == "stopped" and process_of(study) is None


def test_only_what_trains_is_paused(root: Path) -> None:
    queue = jobs_of(root, SLOW_START)
    for study in begun(queue, 2):  # one is about to train, the other waits
        with pytest.raises(UserError, match="queued: there is nothing to pause"):
            queue.pause(study.path.name)


def test_a_retry_is_a_new_study_of_the_same(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    (study,) = begun(queue)
    queue.rename(study.path.name, "mine")
    queue.cancel(study.path.name)
    again = StudyFolder(root / queue.retry(study.path.name))
    assert again.path != study.path and read_ticket(again).name == "mine"
    assert order_of(again) == order_of(study) == ORDER
    assert state_of(study) == "stopped"


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "bell\x07", None, ["a"]])
def test_a_name_that_will_not_do(root: Path, name: object) -> None:
    queue = jobs_of(root, SLOW_START)
    (study,) = begun(queue)
    with pytest.raises(UserError, match="A name has 1 to 80"):
        queue.rename(study.path.name, name)
    assert read_ticket(study).name == ""


def test_a_name_may_be_given_at_any_time(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    first, second = begun(queue, 2)
    queue.rename(first.path.name, "  <b>Größe</b>\n 1 ")
    queue.rename(second.path.name, "later")
    assert read_ticket(first).name == "<b>Größe</b> 1"
    assert [study.path for study in queue.waiting()] == [second.path]
    finish(first)
    assert read_ticket(first).name == "<b>Größe</b> 1"


def test_deleted_and_brought_back(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    first, second = begun(queue, 2)
    for study in (first, second):
        with pytest.raises(UserError, match="cancel it first"):
            queue.delete(study.path.name)
    queue.cancel(second.path.name)
    finish(first)
    queue.delete(first.path.name)
    queue.delete(second.path.name)
    assert not queue.runs.studies()
    assert queue.undo() == second.path.name and queue.undo() == first.path.name
    assert state_of(first) == "finished"
    with pytest.raises(UserError, match="trash is empty"):
        queue.undo()


def test_the_trash_is_kept_for_a_day(root: Path) -> None:
    queue = jobs_of(root, DONE)
    studies = begun(queue, 2)
    for study in studies:
        wait_for(lambda study=study: state_of(study) == "finished")  # type: ignore[misc]
        queue.delete(study.path.name)
    old = queue.trash.path / studies[0].path.name
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    queue.trash.empty()
    assert not old.exists()
    assert queue.undo() == studies[1].path.name


def test_an_old_study_is_not_emptied_with_its_deletion(root: Path) -> None:
    queue = jobs_of(root, DONE)
    (study,) = begun(queue)
    wait_for(lambda: state_of(study) == "finished")
    os.utime(study.path, (1, 1))
    queue.delete(study.path.name)
    queue.trash.empty()
    assert queue.undo() == study.path.name


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_and_the_queue_outlive_their_server(root: Path, stop: signal.Signals) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(root), str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT,
    )  # fmt: skip
    try:
        assert server.stdout is not None and server.stdout.readline() == "started\n"
        (first,) = jobs_of(root, OBEDIENT).runs.studies()
        wait_for(trains(first))
        server.send_signal(stop)
        server.wait()
    finally:
        server.kill()
        server.communicate()
    queue = jobs_of(root, OBEDIENT)
    (second,) = begun(queue)
    assert [study.path for study in queue.working()] == [first.path]
    assert [study.path for study in queue.waiting()] == [second.path]
    # Nobody's child any more: it is found out that it ended, without being told.
    (first.path / "enough").touch()
    queue.keep_going()
    wait_for(trains(second))
    assert state_of(first) == "finished"


def test_what_waits_for_a_dead_server_is_begun_by_the_next(root: Path) -> None:
    dead = jobs_of(root, OBEDIENT, at_once=0)
    waits, also = begun(dead, 2)
    assert state_of(waits) == "queued" and process_of(waits) is None
    jobs_of(root, OBEDIENT).keep_going()
    wait_for(trains(waits))
    assert state_of(also) == "queued"


def test_a_trainer_is_lost_with_its_server_and_goes_on(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    (study,) = begun(queue)
    wait_for(trains(study))
    pid, _ = process_of(study) or (0, 0)
    # As after a power cut: neither the server nor the trainer writes anything any more.
    write_ticket(study, pid=None, started=None)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state_of(study) == "lost")
    queue.resume(study.path.name)
    wait_for(trains(study))


def test_a_trainer_that_died_before_its_first_word_is_lost(root: Path) -> None:
    (study,) = begun(jobs_of(root, SLOW_START))
    write_ticket(study, started=1.0)  # as of a process before: the number was given away since
    assert state_of(study) == "lost" and process_of(study) is None
    pid = read_ticket(study).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_process_is_found_whose_server_died_before_it_noted_its_number(root: Path) -> None:
    (study,) = begun(jobs_of(root, SLOW_START, at_once=0))
    waiting = read_ticket(study)
    jobs_of(root, SLOW_START).start_next()
    started = read_ticket(study).pid
    write_ticket(study, **waiting.model_dump())
    jobs_of(root, SLOW_START).start_next()
    assert started is not None and read_ticket(study).pid == started
    # What is resumed has another turn: a process of the one before is not taken for it.
    write_ticket(study, waiting_since=time.time(), pid=None)
    jobs_of(root, SLOW_START).start_next()
    assert read_ticket(study).pid != started
    os.kill(started, signal.SIGKILL)


def test_two_servers_start_everything_once(root: Path) -> None:
    servers = [jobs_of(root, OBEDIENT) for _ in range(4)]
    studies = begun(jobs_of(root, OBEDIENT, at_once=0), 3)
    for number, study in enumerate(studies):
        threads = [
            threading.Thread(target=server.start_next) for server in servers for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(trains(study))
        assert len(servers[0].working()) == 1 and len(servers[0].waiting()) == 2 - number
        finish(study)
    assert [len((study.path / "pids").read_text().split()) for study in studies] == [1, 1, 1]


def test_a_damaged_ticket_is_said_and_blocks_nobody(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT, at_once=0)
    damaged, fine = begun(queue, 2)
    (damaged.path / FILE).write_text("{")
    assert state_of(damaged) == "damaged"
    jobs_of(root, OBEDIENT).start_next()
    wait_for(trains(fine))
    queue.delete(damaged.path.name)


def test_data_is_needed_until_nobody_can_go_on_with_it(root: Path) -> None:
    queue = jobs_of(root, OBEDIENT)
    source = ORDER.recipe.data.source
    assert queue.needing(source) == []
    first, second = begun(queue, 2)
    wait_for(trains(first))
    assert {study.path for study in queue.needing(source)} == {first.path, second.path}
    assert queue.needing(source + "2") == []
    queue.cancel(second.path.name)
    queue.pause(first.path.name)
    wait_for(lambda: state_of(first) == "paused")
    assert [study.path for study in queue.needing(source)] == [first.path]
    queue.delete(first.path.name)
    assert queue.needing(source) == []
