"""Trainings as child processes: started, stopped and found again through their files.

A training outlives the page, the tab and the server: it runs in a session of its own, writes what
it says to a file, and keeps its state in the study's folder. Nothing here remembers more than what
is needed to reap a child that ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.place import PROJECT
from dait.config.arms import Arm
from dait.errors import UserError
from dait.files import write_atomically
from dait.recipe import Recipe
from dait.runs import WORKING_STATES, RunsRoot, StatusFolder, StudyFolder, is_alive

GRACE_SECONDS = 3.0
"""How long a training may take to end on its own before it is killed."""

ACTIVE_STATES = (*WORKING_STATES, "queued")
_WAIT_SECONDS = 0.05
_OUTPUT_TAIL_BYTES = 4000


@dataclass(frozen=True)
class Order:
    """A study to train: checked values, nothing that came from the page as it was."""

    recipe: Recipe
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]


Command = Callable[[Path, Order], list[str]]


def study_command(folder: Path, order: Order) -> list[str]:
    """The command line that trains ``order`` into ``folder``, where its ``recipe.yaml`` lies."""
    return [
        *(sys.executable, "-m", "dait", "study", str(folder / "recipe.yaml")),
        *("--out", str(folder)),
        *("--arms", ",".join(order.arms)),
        *("--seeds", ",".join(str(seed) for seed in order.seeds)),
    ]


class Jobs:
    """The trainings of one runs folder, one at a time."""

    def __init__(self, runs: RunsRoot, command: Command = study_command) -> None:
        self.runs = runs
        self._command = command
        self._lock = threading.Lock()
        self._stopping: set[int] = set()

    def running(self) -> StudyFolder | None:
        """The study that waits or trains now, whoever started it; None when nothing runs."""
        return next((study for study in self.runs.studies() if is_active(study)), None)

    def start(self, order: Order) -> str:
        """Start a training and give its id. Raises ``UserError`` while another one runs."""
        with self._lock:
            busy = self.running()
            if busy is not None:
                raise UserError(
                    f"{busy.path.name} is still {busy.state()}. One training runs at a time: wait "
                    "until it has finished, or stop it."
                )
            study = StudyFolder(self.runs.resolve(self.runs.new_id(order.recipe.name)))
            write_atomically(study.path / "recipe.yaml", order.recipe.to_yaml())
            study.write_status(
                state="queued",
                title=order.recipe.title or order.recipe.name,
                arms=list(order.arms),
                seeds=list(order.seeds),
            )
            process = self._spawn(study, order)
        watcher = threading.Thread(target=self._watch, args=(study, process), daemon=True)
        watcher.start()
        return study.path.name

    def stop(self, study_id: str) -> None:
        """End a training and everything that it started; back once nothing of it runs.

        First asks (SIGTERM), kills after ``GRACE_SECONDS``. Raises ``UserError`` for a study that
        is not there or does not run.
        """
        study = StudyFolder(self.runs.resolve(study_id))
        with self._lock:
            if not is_active(study):
                raise UserError(f"{study_id} is {study.state()}: there is nothing to stop.")
            status = study.status()
            self._stopping.add(status["pid"])
            _end_group(status["pid"], float(status["started"]))
            _settle(study, "stopped", "Stopped on request")

    def _spawn(self, study: StudyFolder, order: Order) -> subprocess.Popen[bytes]:
        # A file and never a pipe: a pipe fills when nobody reads it, and dies with its reader.
        with (study.path / "output.txt").open("ab") as output:
            try:
                process = subprocess.Popen(
                    self._command(study.path, order),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=PROJECT,
                    env=_child_environment(),
                    start_new_session=True,
                )
            except OSError as error:
                shutil.rmtree(study.path)
                raise UserError(
                    f"The training could not be started ({error.strerror or error}). "
                    "Close other programs and try again."
                ) from error
        study.write_status(pid=process.pid, started=time.time())
        return process

    def _watch(self, study: StudyFolder, process: subprocess.Popen[bytes]) -> None:
        """Reap the child; write down an end that it could not write down itself."""
        code = process.wait()
        if process.pid in self._stopping:
            self._stopping.discard(process.pid)
            return
        if study.path.is_dir():
            _settle(study, "failed", _ending(study, code))


def is_active(study: StudyFolder) -> bool:
    """Whether a process works on the study now, or is about to; False for a damaged one.

    A study that is queued without a process waits for nobody: whoever was to start it is gone.
    """
    return study.state() in ACTIVE_STATES and isinstance(study.status().get("pid"), int)


def output_tail(study: StudyFolder, last_bytes: int = _OUTPUT_TAIL_BYTES) -> str:
    """The end of what the training printed; empty if it has printed nothing."""
    path = study.path / "output.txt"
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - last_bytes))
        return file.read().decode("utf-8", errors="replace").strip()


def _child_environment() -> dict[str, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # The child works in the project's folder: a relative path would mean another place there.
    for name in ("DAIT_CACHE", "DAIT_RUNS"):
        if environment.get(name):
            environment[name] = str(Path(environment[name]).expanduser().absolute())
    return environment


def _settle(study: StudyFolder, state: str, message: str) -> None:
    """Write a last state into the study and into those of its runs that have none."""
    folders: list[StatusFolder] = [study]
    folders += [StatusFolder(path.parent) for path in study.path.glob("*/status.json")]
    for folder in folders:
        if folder.status().get("state") in ACTIVE_STATES:
            folder.write_status(state=state, message=message)


def _ending(study: StudyFolder, code: int) -> str:
    lines = output_tail(study).splitlines()
    if code == -signal.SIGKILL:
        return "The training was killed, most often because memory ran out. Use a smaller recipe."
    last = f" Its last line: {lines[-1].strip()}" if lines else ""
    return f"The training ended before it had finished (exit code {code}).{last}"


def _end_group(pid: int, started: float) -> None:
    """SIGTERM to the process group of ``pid``, SIGKILL to what is left of it after a while."""
    if not is_alive(pid, started):
        return
    members = _group(pid)
    if not members:
        # Not the leader of a group of its own: started by hand, and only it is ours to end.
        members = [psutil.Process(pid)]
    _signal(members, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(_lives(member) for member in members) and time.monotonic() < deadline:
        time.sleep(_WAIT_SECONDS)
    # Asked for again: a process may have started another one meanwhile.
    _signal([*members, *_group(pid)], signal.SIGKILL)
    while any(_lives(member) for member in members):
        time.sleep(_WAIT_SECONDS)


def _group(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader:
                found.append(process)
        except (OSError, psutil.Error):
            continue  # gone, or not ours to look at
    return found


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil checks that the number was not given away anew
        except psutil.NoSuchProcess:
            continue  # it ended by itself meanwhile, which is what was wanted


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
