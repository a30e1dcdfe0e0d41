"""A job in the background can be cancelled: while it waits, while it works, and not afterwards."""

from __future__ import annotations

import threading
from typing import Any

from app.background import JobPool
from dait.events import Emit, Progress


def test_a_job_ends_at_its_next_event_and_the_next_one_starts() -> None:
    pool: JobPool[str] = JobPool(at_once=1)
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    def long(emit: Emit) -> str:
        begun.set()
        try:
            released.wait(20)
            emit(Progress("Reading", 1, 2))
            return "whole"
        finally:
            ended.set()

    job = pool.start("one", long)
    assert begun.wait(20)
    waiting = pool.start("two", lambda emit: "never begun")
    waiting.cancel()
    job.cancel()
    assert not job.running and job.cancelled and job.result is None and job.error
    again = pool.start("one", lambda emit: "again")
    assert again is not job
    released.set()
    assert ended.wait(20) and again.wait(20) and again.result == "again"
    assert job.result is None and waiting.result is None


def test_what_is_done_stays_done() -> None:
    pool: JobPool[Any] = JobPool()
    job = pool.start("one", lambda emit: 7)
    assert job.wait(20)
    job.cancel()
    assert job.result == 7 and job.error is None and not job.cancelled
