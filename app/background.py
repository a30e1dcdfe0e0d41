"""Work that takes longer than a visitor waits: in threads, looked at by polls, shared by visitors.

Nothing of it belongs to a request: a tab that closes ends no work, and whoever asks for the same
thing later finds it going on or done.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from dait.errors import UserError
from dait.events import Emit, Event, Note, Progress

AT_ONCE = 2
"""Pieces of work that go on at the same time; the others wait for their turn."""

Result = TypeVar("Result")


class Work(Generic[Result]):
    """One piece of work: how far it is, then its ``result``, or ``error`` as a sentence."""

    def __init__(self, turns: threading.Semaphore, task: Callable[[Emit], Result]) -> None:
        self.progress: Progress | Note = Note("Waiting for its turn")
        self.result: Result | None = None
        self.error: str | None = None
        self._turns, self._task = turns, task
        self._done = threading.Event()
        # A daemon: what is being read must not keep a server from ending.
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def running(self) -> bool:
        return not self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it is done, after at most so many seconds."""
        return self._done.wait(seconds)

    def _run(self) -> None:
        try:
            with self._turns:
                self.progress = Note("Getting ready")
                self.result = self._task(self._hear)
        except UserError as error:
            self.error = str(error)
        except Exception as error:
            logging.getLogger(__name__).exception("work in the background failed")
            self.error = f"Something unexpected went wrong ({type(error).__name__}: {error})."
        finally:
            self._done.set()

    def _hear(self, event: Event) -> None:
        if isinstance(event, (Progress, Note)):
            self.progress = event


class Workers(Generic[Result]):
    """Pieces of work by what they are about; the last few that are done are kept."""

    def __init__(self, kept: int = 4) -> None:
        self._kept = kept
        self._turns = threading.Semaphore(AT_ONCE)
        self._works: OrderedDict[Hashable, Work[Result]] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, key: Hashable, task: Callable[[Emit], Result]) -> Work[Result]:
        """Work on ``key`` now; where that is going on already, it is the same work."""
        with self._lock:
            work = self._works.get(key)
            if work is None or not work.running:
                work = self._works[key] = Work(self._turns, task)
            self._works.move_to_end(key)
            done = [old for old, other in self._works.items() if not other.running and old != key]
            for old in done[: max(0, len(done) - self._kept)]:
                del self._works[old]
            return work

    def get(self, key: Hashable) -> Work[Result] | None:
        """The work on ``key``, going on or done; None where there is none."""
        with self._lock:
            work = self._works.get(key)
            if work is not None:
                self._works.move_to_end(key)
            return work
