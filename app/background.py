"""Work that takes longer than a visitor waits: in threads, looked at by polls, shared by visitors.

No thread ends in silence: what goes wrong in one is logged once, and said on the page.

Nothing of it belongs to a request: a tab that closes ends no work, and whoever asks for the same
thing later finds it going on or done.
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
"""Characters of an unexpected error's own words."""

AT_ONCE = 2
"""Pieces of work that go on at the same time; the others wait for their turn."""

KEPT_SECONDS = 600.0
"""How long the page says what went wrong, and how long the log does not repeat it."""

Result = TypeVar("Result")


class Faults:
    """What went wrong in the background lately. Several threads may use it."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS) -> None:
        self._kept_seconds = kept_seconds
        self._said: dict[str, tuple[str, float]] = {}
        self._logged: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def noted(self, work: str) -> Iterator[None]:
        """Let the thread go on after whatever the block raises, and note that.

        work: what is being done, as the page calls it. Once it goes well, it is no longer said.
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
        """One line in the log, not repeated for a while; gives the sentence for people."""
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
        """What went wrong lately, and was not done since."""
        since = time.monotonic() - self._kept_seconds
        with self._lock:
            return [sentence for sentence, at in self._said.values() if at >= since]


FAULTS = Faults()
"""Those of this server."""


def keep_doing(work: str, task: Callable[[], object], seconds: float) -> None:
    """Do something now and every so many ``seconds``, in a thread that nothing ends."""

    def repeat() -> None:
        while True:
            with FAULTS.noted(work):
                task()
            time.sleep(seconds)

    threading.Thread(target=repeat, name=work, daemon=True).start()


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
            self.error = f"It did not work: {FAULTS.log(error, 'Work in the background')}"
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
