"""Jobs in threads that take longer than a request: polled by the page, shared by visitors.

Every error in a thread is logged once and shown on the page.

A job does not belong to a request: closing a tab does not end it, and a later request for the same
thing finds it running or done.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from dait.errors import UserError
from dait.events import Emit, Event, Note, Progress

LONGEST = 160
"""Characters of an unexpected error's message."""

AT_ONCE = 2
"""Jobs that run at the same time; others wait."""

KEPT_SECONDS = 600.0
"""How long the page shows an error, and how long the log does not repeat it."""

Result = TypeVar("Result")
Task = Callable[[Emit], Result]
"""What a job does: it reports its progress, which also ends it when it is cancelled."""


class ErrorLog:
    """Recent errors of background threads. Thread-safe."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS) -> None:
        self._kept_seconds = kept_seconds
        self._said: dict[str, tuple[str, float]] = {}
        self._logged: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def noted(self, work: str) -> Iterator[None]:
        """Record what the block raises, and continue.

        work: what is being done, as the page names it. Its error is shown until it succeeds.
        """
        try:
            yield
        except Exception as error:
            sentence = f"{work} went wrong: {self.log(error, work)}"
            with self._lock:
                self._said[work] = (sentence, time.monotonic())
        else:
            with self._lock:
                self._said.pop(work, None)

    def log(self, error: Exception, work: str) -> str:
        """Log one line, not repeated for a while; returns the sentence for the page."""
        if isinstance(error, (UserError, OSError)):
            place, sentence = "", str(error)
        else:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f" ({'/'.join(Path(frame.filename).parts[-2:])}, line {frame.lineno})"
            words = " ".join(str(error)[:LONGEST].split())
            sentence = f"something unexpected ({type(error).__name__}: {words})."
        line, now = " ".join(f"{work}: {sentence}{place}".split()), time.monotonic()
        key = f"{work} {type(error).__name__}{place or sentence}"
        with self._lock:
            self._logged = {
                k: at for k, at in self._logged.items() if now - at < self._kept_seconds
            }
            known = key in self._logged
            self._logged.setdefault(key, now)
        if not known:
            logging.getLogger(__name__).error("%s", line.encode(errors="replace").decode())
        return sentence

    def sentences(self) -> list[str]:
        """Recent errors of work that has not succeeded since."""
        since = time.monotonic() - self._kept_seconds
        with self._lock:
            return [sentence for sentence, at in self._said.values() if at >= since]


ERRORS = ErrorLog()
"""The errors of this server."""


def keep_doing(work: str, task: Callable[[], object], seconds: float) -> None:
    """Run a task now and every ``seconds``, in a thread that survives its errors."""

    def repeat() -> None:
        while True:
            with ERRORS.noted(work):
                task()
            time.sleep(seconds)

    threading.Thread(target=repeat, name=work, daemon=True).start()


class _CancelledError(Exception):
    """Raised in a task at its next event, so that it ends as after an error."""


class Job(Generic[Result]):
    """A task in a thread: its ``progress``, then its ``result``, or ``error`` as a sentence."""

    def __init__(self, turns: threading.Semaphore, task: Task[Result]) -> None:
        self.progress: Progress | Note = Note("Waiting for other jobs")
        self.result: Result | None = None
        self.error: str | None = None
        self.cancelled = False
        self._turns, self._task = turns, task
        self._done = threading.Event()
        self._ending = threading.Lock()
        # A daemon, so that it does not keep a server from exiting.
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def running(self) -> bool:
        return not self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for at most so many seconds; whether it is done."""
        return self._done.wait(seconds)

    def cancel(self) -> None:
        """End it without a result: its thread ends at the task's next event."""
        with self._ending:
            if self.running:
                self.cancelled, self.error = True, "It was cancelled."
                self._done.set()

    def _run(self) -> None:
        result, said = None, None
        try:
            with self._turns:
                self._receive(Note("Getting ready"))
                result = self._task(self._receive)
        except _CancelledError:
            pass
        except UserError as error:
            said = str(error)
        except Exception as error:
            said = f"It failed: {ERRORS.log(error, 'Work in the background')}"
        with self._ending:
            if self.running:
                self.result, self.error = result, said
                self._done.set()

    def _receive(self, event: Event) -> None:
        if self.cancelled:
            raise _CancelledError
        if isinstance(event, (Progress, Note)):
            self.progress = event


class JobPool(Generic[Result]):
    """Jobs by key, some at the same time; the last few that are done are kept.

    reuse: whether a kept result still answers who asks again; none does by default.
    """

    def __init__(
        self,
        kept: int = 4,
        at_once: int = AT_ONCE,
        reuse: Callable[[Result], bool] = lambda result: False,
    ) -> None:
        self._kept, self._reuse = kept, reuse
        self._turns = threading.Semaphore(at_once)
        self._jobs: OrderedDict[Hashable, Job[Result]] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, key: Hashable, task: Task[Result]) -> Job[Result]:
        """Start a job for ``key``, or return the one that is running or whose result is reused."""
        with self._lock:
            job = self._jobs.get(key)
            done = None if job is None else job.result
            if job is None or not (job.running or (done is not None and self._reuse(done))):
                job = self._jobs[key] = Job(self._turns, task)
            self._jobs.move_to_end(key)
            ended = [old for old, other in self._jobs.items() if not other.running and old != key]
            for old in ended[: max(0, len(ended) - self._kept)]:
                del self._jobs[old]
            return job

    def get(self, key: Hashable) -> Job[Result] | None:
        """The job for ``key``, running or done; None if there is none."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None:
                self._jobs.move_to_end(key)
            return job
