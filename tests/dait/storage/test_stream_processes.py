"""Builds of several processes and threads: never twice, whoever dies or waits."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamed import (
    COUNT,
    StopError,
    check,
    counting,
    failing,
    load,
    make,
    names,
    refuse,
    stop_after,
)

from dait.storage import stream
from dait.storage.stream import CHUNK, Rows, StreamRow

needs_signals = pytest.mark.skipif(os.name == "nt", reason="signals")

CHILD = """
import sys, time
from pathlib import Path
import streamed as here

folder, name, hold = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log = (folder.parent / name).open("a", buffering=1)
def make(number):
    log.write(f"{number}\\n")
    time.sleep(600 if number == hold else 0.0005)
    return here.make(number)
here.check(here.load(folder, make))
print("whole")
"""


HELD = 2 * CHUNK + 60


def child(folder: Path, name: str, hold: int) -> subprocess.Popen[str]:
    """A process that builds, up to row ``hold``, and writes the rows that it makes to ``name``."""
    paths = [str(Path(stream.__file__).parents[2]), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", CHILD, str(folder), name, str(hold)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def made_by(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@needs_signals
def test_a_killed_build_is_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    process = child(folder, "first", HELD)
    wait_until(lambda: HELD in made_by(tmp_path / "first"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "a").exists() and (folder / ".partial-a").is_dir()
    made: list[int] = []
    check(load(folder, counting(made)))
    assert min(made) >= CHUNK and sorted(made) == list(range(min(made), COUNT))
    assert names(folder) == ["a"]


def test_the_second_of_two_processes_waits(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    children = [child(folder, name, -1) for name in ("first", "second")]
    for process in children:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and out == "whole\n"
    made = sorted(made_by(tmp_path / "first") + made_by(tmp_path / "second"))
    assert made == list(range(COUNT)) and names(folder) == ["a"]


@needs_signals
def test_who_waits_takes_over_from_a_killed_process(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = child(folder, "first", HELD)
    wait_until(lambda: HELD in made_by(tmp_path / "first"))
    second = child(folder, "second", -1)
    time.sleep(1)  # most likely it waits by now; whether it does must not matter
    first.send_signal(signal.SIGKILL)
    first.communicate()
    out, _ = second.communicate(timeout=60)
    assert out == "whole\n" and min(made_by(tmp_path / "second")) >= CHUNK
    assert names(folder) == ["a"]


def test_who_waits_hears_how_far_it_is_and_can_stop(tmp_path: Path) -> None:
    go, heard = threading.Event(), list[int]()

    def slow(number: int) -> StreamRow:
        if number > 2 * CHUNK:
            go.wait(60)
        return make(number)

    thread = threading.Thread(target=load, args=(tmp_path, slow))
    thread.start()
    wait_until(lambda: (tmp_path / ".lock-a").exists())

    def listen(done: int) -> None:
        heard.append(done)
        if done > CHUNK:
            raise StopError

    try:
        with pytest.raises(StopError):
            load(tmp_path, refuse, listen)
    finally:
        go.set()
        thread.join()
    assert CHUNK < heard[-1] <= 2 * CHUNK + 1
    check(load(tmp_path, refuse))


def test_disks_that_cannot_lock_are_built_on_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with pytest.raises(StopError):
        load(tmp_path, progress=stop_after(2 * CHUNK + 20))
    assert [name for name in names(tmp_path) if name != ".lock-a"] == []
    together, results = threading.Barrier(2), list[Rows]()

    def meet(number: int) -> StreamRow:
        if number == 0:
            together.wait(20)
        return make(number)

    threads = [
        threading.Thread(target=lambda: results.append(load(tmp_path, meet))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    for rows in results:
        check(rows)
    assert [name for name in names(tmp_path) if name != ".lock-a"] == ["a"]
