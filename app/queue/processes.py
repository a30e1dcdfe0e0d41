"""Find process groups, and end them reliably."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

import psutil

from dait.runs.folder import is_alive

GRACE_SECONDS = 3.0
"""How long a process may take to exit after SIGTERM before it is killed."""

MARK = "DAIT_TURN"
"""The environment variable that marks a trainer with the queue entry it was started for."""

_WAIT_SECONDS = 0.05


def marked(mark: str) -> int | None:
    """The leader of the process group that was started with ``mark``, if there is one."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and _leads(process) and lives(process):
                return process.pid
        except (OSError, psutil.Error):
            continue  # gone, or another user's
    return None


def ask_to_end(pid: int, started: float) -> None:
    """SIGTERM to ``pid`` alone, which ends its own children after saving its state."""
    leader = _leader(pid, started)
    if leader is not None:
        _signal([leader], signal.SIGTERM)


def end_group(pid: int, started: float) -> None:
    """SIGTERM to the process group of ``pid``, then SIGKILL to what is left of it.

    Returns when all have ended.
    """
    leader = _leader(pid, started)
    if leader is None:
        return
    members = _family(leader)
    _signal(members, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(lives(member) for member in members) and time.monotonic() < deadline:
        time.sleep(_WAIT_SECONDS)
    # Listed again: a process may have started another one meanwhile.
    members |= _family(leader)
    _signal(members, signal.SIGKILL)
    while any(lives(member) for member in members):
        time.sleep(_WAIT_SECONDS)


def lives(process: psutil.Process) -> bool:
    """Whether the process is running, which a zombie is not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def memory_bytes(pid: int, started: float) -> int:
    """Resident memory of a process and its descendants; 0 if it has ended.

    Shared pages are counted once per process.
    """
    leader = _leader(pid, started)
    try:
        members = [] if leader is None else [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_resident_bytes, members))


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0  # it ended since it was listed


def machine_busy() -> float:
    """The utilisation of this machine's processors since the last call, 0 to 1."""
    return psutil.cpu_percent(interval=None) / 100


def _leads(process: psutil.Process) -> bool:
    return os.getpgid(process.pid) == process.pid


def _leader(pid: int, started: float) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if is_alive(pid, started) else None
    except psutil.NoSuchProcess:
        return None  # it ended between the two


def _family(leader: psutil.Process) -> set[psutil.Process]:
    """The process, its descendants, and its group if it leads one.

    A process started from a shell may be in a group with others, which must not be ended.
    """
    found = {leader}
    try:
        found |= set(leader.children(recursive=True))
    except psutil.NoSuchProcess:
        if psutil.pid_exists(leader.pid):
            return found  # the pid was reused, so nothing of its group is left
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader.pid:
                found.add(process)
        except (OSError, psutil.Error):
            continue  # gone, or another user's
    return found


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil checks that the pid was not reused
        except psutil.NoSuchProcess:
            continue  # it has ended meanwhile
