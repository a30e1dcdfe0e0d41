"""Rows in the cache: complete or not there, built once, whoever stops, dies or waits."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dait.errors import UserError
from dait.events import Event, Note, Progress
from dait.storage import rows as rows_module
from dait.storage.rows import Column, Row, Rows, load_or_build_rows

COLUMNS = {
    "line": Column((3,), "uint16", ragged=True),
    "image": Column((4, 4, 3)),
    "place": Column((2,), "float32"),
}
COUNT = 785


class StopError(Exception):
    pass


def make(number: int) -> Row:
    """Every seventh row is dropped, every fifth remarked upon."""
    if number % 7 == 3:
        return Row(None, f"row {number} is bad – ‘schlecht’")
    image = np.full((4, 4, 3), number % 251, np.uint8)
    remark = "so so" if number % 5 == 0 else ""
    place = np.array([number, -number], np.float32)
    return Row({"line": line(number), "image": image, "place": place}, remark)


def line(number: int) -> np.ndarray:
    """None to five numbers."""
    return np.arange(number, number + number % 6, dtype=np.uint16)


def refuse(number: int) -> Row:
    raise AssertionError(f"row {number} was made again")


def ignore(event: Event) -> None:
    pass


def load(
    folder: Path,
    make: Callable[[int], Row] = make,
    emit: Callable[[Event], None] = ignore,
    count: int = COUNT,
) -> Rows:
    return load_or_build_rows(folder, "a", count, COLUMNS, make, "Decoding", emit)


def check(rows: Rows, count: int = COUNT) -> None:
    kept = [number for number in range(count) if number % 7 != 3]
    assert rows.kept.tolist() == kept
    image, place = rows.columns["image"], rows.columns["place"]
    assert image.shape == (len(kept), 4, 4, 3) and place.shape == (len(kept), 2)
    lines = np.concatenate([line(number) for number in kept])
    np.testing.assert_array_equal(rows.columns["line"], lines)
    assert image[:, 3, 3, 2].tolist() == [number % 251 for number in kept]
    assert place[:, 1].tolist() == [-number for number in kept]
    assert list(rows.remarks) == [n for n in range(count) if n % 5 == 0 or n % 7 == 3]
    assert rows.remarks[3] == "row 3 is bad – ‘schlecht’" and rows.remarks[5] == "so so"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def failing(code: int) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_built_once_then_mapped(tmp_path: Path) -> None:
    heard: list[Event] = []
    check(load(tmp_path, emit=heard.append))
    done = [event.done for event in heard if isinstance(event, Progress)]
    assert done == sorted(set(done)) and done[-1] == COUNT and 90 <= len(done) <= 120
    check(load(tmp_path, refuse))
    assert names(tmp_path) == ["a"]
    assert not load(tmp_path, refuse).columns["image"].flags.writeable
    wide = {"image": Column((64, 64, 3))}
    picture = np.ones((64, 64, 3), np.uint8)
    big = load_or_build_rows(tmp_path, "b", 100, wide, lambda n: Row({"image": picture}))
    assert isinstance(big.columns["image"], np.memmap) and big.columns["image"].all()


@pytest.mark.parametrize("count", [0, 1, 255, 257])
def test_any_number_of_rows(tmp_path: Path, count: int) -> None:
    rows = load(tmp_path, count=count)
    assert len(rows.kept) == len(rows.columns["image"]) == sum(n % 7 != 3 for n in range(count))


def test_rows_may_all_be_bad(tmp_path: Path) -> None:
    rows = load(tmp_path, lambda number: Row(None, "no"), count=20)
    assert rows.columns["place"].shape == (0, 2) and len(rows.remarks) == 20


def test_a_row_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    place, values = np.zeros(2, np.float32), np.zeros(5, np.uint16)
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.int64)):
        row = Row({"line": values, "image": image, "place": place})
        with pytest.raises(ValueError, match="a row’s image is"):
            load(tmp_path, lambda number, row=row: row)
    for values in (np.zeros((5, 2), np.uint16), np.zeros(5, np.uint8)):
        with pytest.raises(ValueError, match="a row’s line is"):
            load(tmp_path, lambda number, values=values: Row({"line": values}))
    assert names(tmp_path) == []


def test_a_stopped_build_leaves_nothing_and_begins_anew(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done > 300:
            raise StopError

    with pytest.raises(StopError):
        load(tmp_path, emit=stop)
    assert names(tmp_path) == []
    check(load(tmp_path))


def test_a_damaged_entry_is_built_anew(tmp_path: Path) -> None:
    load(tmp_path)
    os.truncate(tmp_path / "a" / "image.npy", 1000)
    check(load(tmp_path))


def test_an_entry_of_another_version_is_left_alone(tmp_path: Path) -> None:
    load(tmp_path)
    manifest = tmp_path / "a" / "manifest.json"
    manifest.write_text('{"format": 2, "something": "else"}')
    with pytest.raises(UserError, match=r"in version 2 .* reads version 1\. Set DAIT_CACHE"):
        load(tmp_path)
    assert manifest.exists() and (tmp_path / "a" / "image.npy").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(code))  # where a disk that allocates late reports it
        with pytest.raises(UserError, match=r"no room for \d+ MiB .*DAIT_CACHE"):
            load(tmp_path)
    assert names(tmp_path) == []
    check(load(tmp_path))


FULL = """
import shutil, sys
from pathlib import Path
import numpy as np
from dait.storage.rows import Column, Row, load_or_build_rows
from dait.errors import UserError

folder, filler = Path(sys.argv[1]) / "cache", Path(sys.argv[1]) / "filler"
columns = {"image": Column((32, 32, 3))}
def make(number):
    if number == 300:  # somebody else takes what is left
        with filler.open("wb") as file:
            free = shutil.disk_usage(filler.parent).free
            file.write(bytes(free - 64 * 1024))
    return Row({"image": np.zeros((32, 32, 3), np.uint8)})
def expect(count):
    try:
        load_or_build_rows(folder, "a", count, columns, make)
    except UserError as error:
        print(error, [file.name for file in folder.iterdir()], filler.exists())
expect(10_000)
expect(1_000)
filler.unlink()
make = lambda number: Row({"image": np.ones((32, 32, 3), np.uint8)})
print(load_or_build_rows(folder, "a", 1_000, columns, make).columns["image"].sum())
"""


def test_a_small_disk(tmp_path: Path) -> None:
    """A disk of 6 MiB, mounted where this process alone sees it: where users may do that."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    script = 'mount -t tmpfs -o size=6m none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    result = subprocess.run(
        [*mount, script, "sh", str(tmp_path), sys.executable, FULL],
        env=os.environ | {"PYTHONPATH": str(Path(rows_module.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if result.returncode in (1, 77) and "Traceback" not in result.stderr:
        pytest.skip(f"no disk of one's own here: {result.stderr.strip()}")
    early, late, *_, total = result.stdout.splitlines()
    assert early.startswith("There is no room for 29 MiB") and early.endswith("[] False")
    assert late.startswith("There is no room for 3 MiB") and late.endswith("[] True")
    assert int(total) == 1_000 * 32 * 32 * 3


@pytest.mark.parametrize("ragged", [False, True])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, ragged: bool) -> None:
    shape = (64 * 64 * 3,) if ragged else (64, 64, 3)
    columns = {"image": Column(shape, ragged=ragged), "row": Column((), "int64")}

    def peak(count: int) -> int:
        tracemalloc.start()

        def row(number: int) -> Row:
            image = np.zeros(shape, np.uint8)
            return Row({"image": image[number % 9 :] if ragged else image, "row": np.array(number)})

        load_or_build_rows(tmp_path, str(count), count, columns, row)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    few, many = peak(1_000), peak(6_000)  # 12 and 74 MB in all
    assert many < few + 4 * 2**20 and few < 12 * 2**20


CHILD = """
import sys, time
from pathlib import Path
import test_rows as here

folder, log = Path(sys.argv[1]), Path(sys.argv[1]).parent / "made"
def make(number):
    if number == 400:
        log.touch()
        time.sleep(600)
    return here.make(number)
here.load(folder, make)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_who_waits_takes_over_from_a_killed_process(tmp_path: Path) -> None:
    folder, heard = tmp_path / "cache", list[Event]()
    paths = [str(Path(rows_module.__file__).parents[2]), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], env=environment)
    wait_until((tmp_path / "made").exists)
    assert not (folder / "a").exists()

    def listen(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Note):
            process.send_signal(signal.SIGKILL)
            process.wait()

    check(load(folder, emit=listen))
    assert isinstance(heard[0], Note) and "Waiting for another process" in heard[0].text
    load_or_build_rows(folder, "b", 1, COLUMNS, make)  # removes what the killed process left
    assert names(folder) == ["a", "b"]


def test_the_second_of_two_builds_waits_and_can_stop(tmp_path: Path) -> None:
    go, made = threading.Event(), list[int]()

    def slow(number: int) -> Row:
        made.append(number)
        go.wait(60)
        return make(number)

    def stop(event: Event) -> None:
        raise StopError

    thread = threading.Thread(target=load, args=(tmp_path, slow))
    thread.start()
    try:
        wait_until(lambda: bool(made))
        with pytest.raises(StopError):
            load(tmp_path, refuse, stop)
    finally:
        go.set()
    check(load(tmp_path, refuse))
    thread.join()
    assert names(tmp_path) == ["a"]


def test_disks_without_locks_are_built_on_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    together, results = threading.Barrier(2), list[Rows]()

    def meet(number: int) -> Row:
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
    assert [name for name in names(tmp_path) if name != ".a.lock"] == ["a"]
