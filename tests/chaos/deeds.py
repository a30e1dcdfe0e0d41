"""Processes that end themselves, by ``kill -9``, at one of the things that they do to files."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import threading
import time
from functools import partial
from typing import Any

import dait.study.stage
from dait.cli import main
from dait.training.checkpoint import StepCheckpoints

NEVER = 10**9
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")
_WRITING = os.O_WRONLY | os.O_RDWR


def die_at(words: list[str], root: str, mark: str, number: int, delay: float, log: str) -> int:
    """``python -m dait``, killed ``delay`` seconds after the deed of this number (from 1).

    A deed opens a file below ``root`` for writing, renames, removes or makes one there; those are
    counted whose path matches ``mark``, and all are written to ``log``. A checkpoint is kept after
    every step, however short the training is.
    """
    dait.study.stage.StepCheckpoints = partial(  # type: ignore[misc,assignment]
        StepCheckpoints, steps_between=1
    )
    report = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    numbers, pattern = itertools.count(1), re.compile(mark)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        about = _about(event, arguments)
        if about is None or not about.startswith(root):
            return
        os.write(report, f"{event} {about}\n".encode())
        if pattern.search(about) and next(numbers) == number:
            if not delay:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Thread(target=_die_in, args=(delay,), daemon=True).start()

    sys.addaudithook(watch)
    return main(words)


def _about(event: str, arguments: tuple[Any, ...]) -> str | None:
    if event == "open":
        path, _, flags = arguments
        if not (isinstance(flags, int) and flags & _WRITING):
            return None
    elif event in _CHANGES:
        path = arguments[0]
    else:
        return None
    try:
        return os.fsdecode(path)
    except TypeError:  # a file that is open already
        return None


def _die_in(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
