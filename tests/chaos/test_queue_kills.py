"""Two servers over one runs folder with a queue of three; servers and trainers are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from amount import amount, chance
from apart import start
from cut_off import whole

from app.config import PROJECT
from app.queue.training_queue import RESUMABLE, TrainingQueue
from app.studies.order import Order
from app.studies.ticket import process_of, state_of
from dait.cli import main
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.runs.folder import RunsRoot, StudyFolder

ARMS = ("independent", "dait")
SERVER = """
import sys
from app.queue.training_queue import TrainingQueue
from dait.runs.folder import RunsRoot
TrainingQueue(RunsRoot(sys.argv[1])).keep_going()
sys.stdin.read()
"""
"""What a server of the app does for the queue; the page is not needed for it."""

LONGEST_SECONDS = 1800


class Servers:
    """Two servers, each started again when it was killed."""

    def __init__(self, runs: Path) -> None:
        self._words = [sys.executable, "-c", SERVER, str(runs)]
        self._environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
        self.processes = [self._start() for _ in range(2)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._words, stdin=subprocess.PIPE, cwd=PROJECT, env=self._environment
        )

    def kill(self, number: int) -> None:
        """``kill -9`` of one; another one comes in its place."""
        self.processes[number].kill()
        self.processes[number].wait()
        self.processes[number] = self._start()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def eventually(condition: Callable[[], bool], seconds: float = LONGEST_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_killed_servers_and_trainers_lose_nothing(small_recipe: Recipe, tmp_path: Path) -> None:
    recipe = small_recipe.changed({"train.epochs": 6, "dait.stage1_epochs": 4})
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    words = ["study", str(tmp_path / "recipe.yaml"), "--arms", ",".join(ARMS), "--seeds", "0"]
    begun = start(tmp_path, main, [*words, "--out", str(tmp_path / "whole")])
    assert begun.ended() == 0, begun.said
    rng, kills, most = chance("queue"), Counter[str](), amount(2, 24)
    root = tmp_path / "runs"
    rounds = 0
    while kills.total() < most:
        rounds += 1
        queue = TrainingQueue(RunsRoot(root / str(rounds)), at_once=0)
        studies = [
            StudyFolder(queue.runs.resolve(queue.start(Order(recipe, ARMS, (0,)))))
            for _ in range(3)
        ]
        servers = Servers(root / str(rounds))
        ended: dict[Path, int] = {}
        deadline = time.monotonic() + LONGEST_SECONDS
        due = time.monotonic() + rng.uniform(1, 12)
        try:
            while any(state_of(study) != "finished" for study in studies):
                assert time.monotonic() < deadline, [study.log_text() for study in studies]
                working = queue.working()
                assert len(working) <= 1, [study.path.name for study in working]
                for study in studies:
                    if state_of(study) == "finished":
                        student = study.path / "dait-s0" / "student.safetensors"
                        ended.setdefault(student, student.stat().st_mtime_ns)
                    elif state_of(study) in RESUMABLE:
                        with suppress(UserError):  # a server has just written another state
                            queue.resume(study.path.name)
                if time.monotonic() > due and kills.total() < most:
                    due = time.monotonic() + rng.uniform(2, 12)
                    trainer = process_of(working[0]) if working else None
                    if trainer is not None and rng.random() < 0.5:
                        kills["trainer"] += _kill(trainer[0])
                    else:
                        servers.kill(rng.randrange(2))
                        kills["server"] += 1
                time.sleep(0.05)
        finally:
            servers.end()
        for study in studies:
            eventually(lambda study=study: process_of(study) is None, 30)  # type: ignore[misc]
            assert whole(study.path) == whole(tmp_path / "whole")
            assert list(study.path.rglob(".*.tmp")) == []
        assert ended == {student: student.stat().st_mtime_ns for student in ended}
        assert len(ended) >= 2  # nobody waits for more after the last one
    print(json.dumps({"kills": kills, "rounds": rounds, "studies": 3 * rounds}))


def _kill(pid: int) -> bool:
    try:
        psutil.Process(pid).send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False  # it has just ended
    return True
