"""A few lines that stand for the trainer, each in a real process, and waiting for what they do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from app.queue.training_queue import TrainingQueue
from app.studies.order import Order
from dait.config.recipe import Recipe
from dait.runs.folder import RunsRoot

ORDER = Order(Recipe(name="tiny"), ("direct", "dait"), (0, 1))
BEGIN = """
import os, signal, subprocess, sys, time
from dait.runs.folder import StudyFolder
study = StudyFolder(sys.argv[1])
"""
OBEDIENT = f"""{BEGIN}
def end(*_):
    study.write_status(state="stopped", message="as it was told")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
study.start_work(state="training", message="at work", progress=0.25)
with open(study.path / "pids", "a") as pids:
    print(os.getpid(), file=pids)
while not (study.path / "enough").exists():
    time.sleep(0.02)
study.write_status(state="finished", progress=1.0)
"""
DEAF = f"""{BEGIN}
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
study.start_work(state="preparing", message=str(child.pid))
time.sleep(60)
"""
DONE = f"""{BEGIN}
study.start_work(state="training")
print("all went well")
study.write_status(state="finished", progress=1.0)
"""
CRASH = f"""{BEGIN}
study.start_work(state="training")
sys.exit("the roof fell in")
"""
NEVER_BEGINS = "raise SystemExit('no such recipe')"
SLOW_START = "import time; time.sleep(60)"


def jobs_of(root: Path, code: str, at_once: int = 1, most_waiting: int = 50) -> TrainingQueue:
    """A server's jobs over a runs folder, with ``code`` for the trainer."""
    return TrainingQueue(
        RunsRoot(root),
        at_once,
        most_waiting,
        lambda folder, order: [sys.executable, "-c", code, str(folder)],
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
