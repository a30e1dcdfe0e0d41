"""Work in threads: shared, looked at, and never silent about its end."""

from __future__ import annotations

import logging
import threading

import pytest

from app.background import AT_ONCE, ErrorLog, JobPool
from dait.errors import UserError
from dait.events import Emit, Note, Progress

SECONDS = 20


def test_visitors_share_work_and_see_its_progress() -> None:
    told, go_on = threading.Event(), threading.Event()
    calls = []

    def task(emit: Emit) -> str:
        calls.append(1)
        emit(Progress("reading", 1, 2))
        told.set()
        assert go_on.wait(SECONDS)
        return "read"

    workers: JobPool[str] = JobPool()
    first = workers.start("a", task)
    assert told.wait(SECONDS)
    assert workers.start("a", task) is first and workers.get("a") is first
    assert first.running and first.progress == Progress("reading", 1, 2)
    assert not first.wait(0)
    go_on.set()
    assert first.wait(SECONDS)
    assert (first.result, first.error, len(calls)) == ("read", None, 1)


def test_errors_end_as_sentences() -> None:
    def refuse(emit: Emit) -> None:
        raise UserError("There is nothing there.")

    def break_down(emit: Emit) -> None:
        raise KeyError("oh")

    workers: JobPool[None] = JobPool()
    refused, broken = workers.start("a", refuse), workers.start("b", break_down)
    assert refused.wait(SECONDS) and broken.wait(SECONDS)
    assert refused.error == "There is nothing there."
    assert broken.error is not None and "KeyError" in broken.error
    again = workers.start("a", lambda emit: None)
    assert again is not refused and again.wait(SECONDS) and again.error is None


def test_only_so_much_goes_on_at_once() -> None:
    go_on = threading.Event()
    workers: JobPool[bool] = JobPool()
    works = [workers.start(n, lambda emit: go_on.wait(SECONDS)) for n in range(AT_ONCE + 1)]
    waiting = [work for work in works if work.progress == Note("Waiting for other jobs")]
    assert len(waiting) >= 1
    go_on.set()
    assert all(work.wait(SECONDS) for work in works)


def test_the_last_few_are_kept() -> None:
    workers: JobPool[int] = JobPool(kept=2)
    for number in range(4):
        assert workers.start(number, lambda emit, n=number: n).wait(SECONDS)  # type: ignore[misc]
    assert workers.get(0) is None
    assert [workers.get(n).result for n in (2, 3)] == [2, 3]  # type: ignore[union-attr]


def test_what_goes_wrong_again_and_again_is_logged_once_and_said_until_it_goes_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = ErrorLog()
    with caplog.at_level(logging.ERROR):
        for number in range(100):
            with faults.noted("Looking after the queue"):
                raise TypeError(f"number {number}")
        with faults.noted("Emptying the trash"):
            raise UserError("There is no room.")
    assert len(caplog.records) == 2
    assert "test_data_background.py" in caplog.text and "Traceback" not in caplog.text
    first, second = faults.sentences()
    assert "number 99" in first and second.endswith("There is no room.")
    with faults.noted("Looking after the queue"):
        pass
    assert faults.sentences() == [second]
    assert ErrorLog(kept_seconds=0).sentences() == []
