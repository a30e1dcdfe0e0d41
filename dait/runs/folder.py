"""The run folder, the only truth about a run; studies; and the folder that holds them all."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import secrets
import tempfile
import time
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import psutil
import yaml

from dait.errors import UserError
from dait.runs.files import (
    CONFIG,
    DEPLOYMENT,
    EPOCH,
    RESULT,
    STATUS,
    STUDY,
    read_json,
    read_json_lines,
    read_yaml,
)
from dait.storage.files import append, drop_torn_line, read_end, sweep, write_atomically
from dait.storage.paths import runs_folder

WORKING_STATES = ("preparing", "training", "evaluating")
STATES = (*WORKING_STATES, "queued", "finished", "failed", "stopped")

# Files' times and process times come from different clocks; both are good to about a second.
_CLOCK_SLACK_SECONDS = 2.0
# Whether a process of another machine lives cannot be asked here: it is believed this long.
_SILENCE_SECONDS = 900.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PREFIX = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON that browsers accept too: NaN and infinity become null, numpy's scalars numbers."""
    text = json.dumps(_plain(value), ensure_ascii=False, indent=indent, allow_nan=False)
    # Names of files that are no Unicode hold halves of characters, which no file and no page takes.
    return text.encode(errors="replace").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy and torch
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class StatusFolder:
    """What a run's folder and a study's have in common: ``status.json`` and ``log.txt``."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def status(self) -> dict[str, Any]:
        """``status.json``; empty before the first write. Raises ``UserError`` if damaged."""
        return read_json(self.path / "status.json", STATUS) or {}

    def write_status(self, **changes: Any) -> dict[str, Any]:
        """Merge ``changes`` into ``status.json``, set ``updated``, and give the whole status."""
        state = changes.get("state")
        if state is not None and state not in STATES:
            raise ValueError(f"unknown state {state!r}; states are {', '.join(STATES)}")
        status = {**self.status(), **changes, "updated": time.time()}
        write_atomically(self.path / "status.json", to_json(status, indent=1) + "\n")
        return status

    def start_work(self, **changes: Any) -> dict[str, Any]:
        """``write_status`` by the process that works from now on: sets ``pid`` and ``started``.

        A process that resumes a run calls it too, so that ``effective_state`` asks for it and not
        for its predecessor. The seconds of that one are kept in ``seconds_before``.
        """
        before = self.seconds_spent()
        return self.write_status(
            **{"host": None, "seconds_before": before, **changes},
            pid=os.getpid(),
            started=time.time(),
            boot=this_boot(),
            folder=str(self.path.resolve()),
        )

    def seconds_spent(self) -> float:
        """Seconds of all processes so far that worked here, up to the last word of each."""
        status = self.status()
        started, updated = status.get("started"), status.get("updated")
        here = 0.0 if started is None or updated is None else max(0.0, updated - started)
        return float((status.get("seconds_before") or 0.0) + here)

    def state(self) -> str:
        """The effective state: as written, or ``lost``, or ``damaged`` if it cannot be read."""
        try:
            status = self.status()
        except UserError:
            return "damaged"
        return effective_state({**status, "pid": None} if self._is_copy(status) else status)

    def _is_copy(self, status: Mapping[str, Any]) -> bool:
        """Whether the process of this status works in another folder, of which this is a copy."""
        folder = status.get("folder")
        try:
            return folder is not None and not Path(folder).samefile(self.path)
        except OSError:
            return False  # moved since

    def sweep(self) -> None:
        """Remove half-written files of killed processes. Only for a process that has the lock."""
        for folder in (self.path, self.path / "checkpoints"):
            sweep(folder, exclusive=True)

    def log(self, text: str) -> None:
        """Append ``text`` to ``log.txt`` with the local time before its first line."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        append(self.path / "log.txt", f"{stamp}  {text.rstrip()}\n")

    def log_text(self, last_bytes: int = 64_000) -> str:
        """The end of ``log.txt``; empty if there is none."""
        return read_end(self.path / "log.txt", last_bytes)


class RunFolder(StatusFolder):
    """One run: one arm, one seed. ARCHITECTURE.md lists its files."""

    @cached_property
    def student(self) -> Path:
        """The student's weights."""
        return self.weights("student")

    @cached_property
    def intermediate(self) -> Path:
        """The intermediate teacher's weights."""
        return self.weights("intermediate")

    @cached_property
    def predictions(self) -> Path:
        """What the run's networks say of the test images."""
        return self.path / "predictions.npz"

    @cached_property
    def checkpoints(self) -> Path:
        """The folder of what a resumed training continues from."""
        return self.path / "checkpoints"

    @cached_property
    def familiarity(self) -> Path:
        """What says whether an image is unlike anything trained on."""
        return self.path / "familiarity.npz"

    def projections(self, role: str) -> Path:
        """What a stage used to train this network and is no part of it."""
        return self.checkpoints / f"projections-{role}.safetensors"

    def weights(self, role: str) -> Path:
        """The file of the network that has this role in the arm."""
        return self.path / f"{role}.safetensors"

    def predictions_of(self, split: str) -> Path:
        """The file of what the run's networks say of a split's images."""
        return self.predictions if split == "test" else self.path / f"predictions-{split}.npz"

    def create(self, config: Mapping[str, Any]) -> None:
        """Make the folder with its ``config.yaml``; raises ``UserError`` if it holds a run."""
        # Weights without their configuration are somebody's too: nothing is ever trained over.
        if self.begun or any(self.path.glob("*.safetensors")):
            raise UserError(f"{self.path} already holds a run; choose another folder.")
        self.write_config(config)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write ``config.yaml``, in place of the one that is there."""
        text = yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True)
        write_atomically(self.path / "config.yaml", text)

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run already."""
        return (self.path / "config.yaml").exists()

    def config(self) -> dict[str, Any]:
        """``config.yaml``; raises ``UserError`` if missing or damaged."""
        config: dict[str, Any] | None = read_yaml(self.path / "config.yaml", CONFIG)
        if config is None:
            raise UserError(f"There is no config.yaml in {self.path}.")
        return config

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``; a line torn by an earlier crash is dropped."""
        path = self.path / "metrics.jsonl"
        drop_torn_line(path)
        append(path, to_json(row) + "\n")

    def drop_metrics(self, stage: str, epoch: int) -> None:
        """Drop the rows of ``stage`` from ``epoch`` (from 1) on, which is trained again."""
        rows = self.metrics()
        kept = [row for row in rows if row["stage"] != stage or row["epoch"] < epoch]
        if len(kept) < len(rows):
            text = "".join(to_json(row) + "\n" for row in kept)
            write_atomically(self.path / "metrics.jsonl", text)

    def metrics(self) -> list[dict[str, Any]]:
        """The rows so far, without a last line that is still being written (or was torn)."""
        return read_json_lines(self.path / "metrics.jsonl", EPOCH) or []

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``."""
        write_atomically(self.path / "result.json", to_json(result, indent=1) + "\n")

    def result(self) -> dict[str, Any] | None:
        """``result.json``, or None before the run has one; ``UserError`` if damaged."""
        result: dict[str, Any] | None = read_json(self.path / "result.json", RESULT)
        return result

    def write_deployment(self, figures: Mapping[str, Any]) -> None:
        """Write ``deployment.json``."""
        write_atomically(self.path / "deployment.json", to_json(figures, indent=1) + "\n")

    def deployment(self) -> dict[str, Any] | None:
        """``deployment.json``, or None where none was exported; ``UserError`` if damaged."""
        advice = "Delete that file, and export the run again."
        found: dict[str, Any] | None = read_json(self.path / "deployment.json", DEPLOYMENT, advice)
        return found


class StudyFolder(StatusFolder):
    """Several arms and seeds of one recipe: ``study.json`` and one run folder for each."""

    def create(self, study: Mapping[str, Any]) -> None:
        """Make the folder with its ``study.json``; raises ``UserError`` if it holds a study."""
        if (self.path / "study.json").exists():
            raise UserError(f"{self.path} already holds a study; choose another folder.")
        self.write_description({"runs": [], **study})

    def write_description(self, study: Mapping[str, Any]) -> None:
        """Write ``study.json``."""
        write_atomically(self.path / "study.json", to_json(study, indent=1) + "\n")

    def state(self) -> str:
        """As of a run; where tasks train one run each, it follows from what the runs say."""
        state = super().state()
        try:
            if state == "queued" and self.status().get("tasks"):
                return _state_of_tasks([run.state() for run in self.runs()])
        except UserError:
            return "damaged"
        return state

    def description(self) -> dict[str, Any]:
        """``study.json``; raises ``UserError`` if missing or damaged."""
        study: dict[str, Any] | None = read_json(self.path / "study.json", STUDY)
        if study is None:
            raise UserError(f"There is no study.json in {self.path}.")
        for row in study["runs"]:
            row.setdefault("dir", f"{row['arm']}-s{row['seed']}")
        return study

    def run(self, arm: str, seed: int) -> RunFolder:
        """The folder of one arm and seed, whether or not it exists yet."""
        return RunFolder(inside(self.path, f"{arm}-s{seed}"))

    def runs(self) -> list[RunFolder]:
        """The runs that ``study.json`` lists; ``UserError`` if one lies outside the study."""
        return [RunFolder(inside(self.path, row["dir"])) for row in self.description()["runs"]]

    def problem(self) -> str | None:
        """Why this study cannot be read, or None."""
        try:
            self.runs()
            self.status()
        except UserError as error:
            return str(error)
        return None


class RunsRoot:
    """The folder that holds every study. Names in it are made here, never by a visitor."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def new_id(self, prefix: str) -> str:
        """A fresh folder name: ``prefix``, the local time, four random bytes in hex."""
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"a prefix has only a-z, 0-9 and single hyphens, not {prefix!r}")
        return f"{prefix}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"

    def resolve(self, name: str) -> Path:
        """The path of ``name`` (``study`` or ``study/run``), whether or not it exists.

        Raises ``UserError`` for anything that is not below this folder: odd characters, ``..``,
        absolute paths, links that lead out.
        """
        return inside(self.path, name)

    def studies(self) -> list[StudyFolder]:
        """Every study here, newest first; those that cannot be read too (see ``problem``).

        Folders that ``resolve`` refuses (names with spaces, links that lead out) are left out.
        """
        try:
            with os.scandir(self.path) as folders:
                found = [
                    StudyFolder(folder.path)
                    for folder in folders
                    if _NAME.fullmatch(folder.name)
                    and (not folder.is_symlink() or _is_below(Path(folder.path), self.path))
                    and _holds_study(folder.path)
                ]
        except OSError:
            return []
        return sorted(found, key=lambda study: (_born(study), study.path.name), reverse=True)


def inside(root: Path, name: str) -> Path:
    """``root/name`` for one or two plain folder names; ``UserError`` for anything that leaves."""
    parts = name.split("/")
    path = root.joinpath(*parts)
    if (
        len(parts) > 2
        or not all(_NAME.fullmatch(part) for part in parts)
        or not _is_below(path, root)
    ):
        raise UserError(
            f"“{name[:120]}” is not the name of a run or a study. Names are letters, digits, dots, "
            "hyphens and underscores, and stay inside the runs folder."
        )
    return path


def _is_below(path: Path, root: Path) -> bool:
    """Wherever links lead; one that leads round in a circle leads nowhere."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _holds_study(folder: str) -> bool:
    try:
        names = set(os.listdir(folder))  # noqa: PTH208 - thousands at every poll
    except PermissionError:
        return True  # it may hold one: shown as damaged, and not left out without a word
    except OSError:
        return False
    return "config.yaml" not in names and not names.isdisjoint(("study.json", "status.json"))


def _born(study: StudyFolder) -> float:
    """When a study began, in Unix seconds; its folder's time if it does not say."""
    file = study.path / "status.json"
    started = _started(file, version_of(file))
    try:
        return study.path.stat().st_mtime if started is None else started
    except OSError:  # deleted since it was listed
        return 0.0


# Folders are listed at every poll of the page, so unchanged files are not read again.
@lru_cache(maxsize=100_000)
def _started(file: Path, version: FileVersion) -> float | None:
    try:
        status = read_json(file, STATUS) or {}
    except UserError:
        return None
    started: float | None = status.get("started")
    return started


FileVersion = tuple[int, int] | None


def version_of(file: Path | str) -> FileVersion:
    """What changes with a file: modification time in ns, bytes; None if there is no file."""
    try:
        found = os.stat(file)  # noqa: PTH116 - thousands at every poll
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def runs_root() -> RunsRoot:
    """``$DAIT_RUNS``, or the default of ``storage.paths.runs_folder``, made if missing.

    Raises ``UserError`` if it cannot be written.
    """
    path = runs_folder()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f"The runs folder {path} cannot be written ({error.strerror or error}). Set DAIT_RUNS "
            "to a folder that can."
        ) from error
    return RunsRoot(path)


def this_boot() -> dict[str, Any] | None:
    """``id`` of this start of the machine, and ``time``: its Unix seconds by the present clock.

    None where the system does not name its starts.
    """
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return {"id": name, "time": psutil.boot_time()}
    except OSError:
        return None


def by_present_clock(started: float, boot: Mapping[str, Any] | None) -> float:
    """A time of day that was written down, as the present clock would have shown it.

    boot: ``this_boot()`` of then. A clock that was set since shows other times of the start of the
    machine and of processes, which are counted from there.
    """
    now = this_boot()
    if now is None or boot is None or boot["id"] != now["id"]:
        return started
    return started + float(now["time"] - boot["time"])


def is_alive(pid: int, started: float) -> bool:
    """Whether the process ``pid`` runs and was there by ``started`` (``by_present_clock``).

    A process born later has merely been given the same number.
    """
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.create_time() <= started + _CLOCK_SLACK_SECONDS
    except psutil.Error:
        # Gone, or another user's process that has been given the number: ours can be read.
        return False


def effective_state(status: Mapping[str, Any]) -> str:
    """The state to show: ``lost`` for work whose process is gone, else ``state`` as written.

    A queued study without a process waits; a status without a state is ``queued``. A process that
    says that it is on another machine is believed for a quarter of an hour after its last word.
    """
    state: str = status.get("state", "queued")
    pid, started = status.get("pid"), status.get("started")
    if state in WORKING_STATES and status.get("host") not in (None, platform.node()):
        silent = time.time() - (status.get("updated") or 0.0)
        return state if silent < _SILENCE_SECONDS else "lost"
    if pid is not None and started is not None and state in (*WORKING_STATES, "queued"):
        return state if is_alive(pid, by_present_clock(started, status.get("boot"))) else "lost"
    if state in WORKING_STATES:
        return "lost"
    return state


def _state_of_tasks(states: list[str]) -> str:
    """What a study is in whose runs are these: at work, cut off, or waiting for its tasks."""
    if any(state in WORKING_STATES for state in states):
        return "training"
    return next((state for state in ("failed", "lost", "stopped") if state in states), "queued")
