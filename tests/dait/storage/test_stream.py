"""Rows in the cache: whole or not there, gone on with, never made twice, whoever dies."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from streamed import (
    COLUMNS,
    COUNT,
    StopError,
    check,
    counting,
    failing,
    load,
    make,
    names,
    quiet,
    refuse,
    stop_after,
)

from dait.errors import UserError
from dait.storage import arrays as store
from dait.storage import stream
from dait.storage.stream import CHUNK, Column, StreamRow, load_or_stream


def test_made_once_then_mapped(tmp_path: Path) -> None:
    heard: list[int] = []
    check(load(tmp_path, progress=heard.append))
    assert heard == sorted(set(heard)) and heard[-1] == COUNT and 90 <= len(heard) <= 120
    check(load(tmp_path, refuse))
    assert names(tmp_path) == ["a"]
    assert not load(tmp_path, refuse).columns["image"].flags.writeable
    wide = {"image": Column((64, 64, 3))}
    picture = np.ones((64, 64, 3), np.uint8)
    big = load_or_stream(tmp_path, "b", 100, wide, lambda n: StreamRow({"image": picture}), quiet)
    assert isinstance(big.columns["image"], np.memmap) and big.columns["image"].all()


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_any_number_of_rows(tmp_path: Path, count: int) -> None:
    rows = load(tmp_path, count=count)
    assert len(rows.kept) == len(rows.columns["image"]) == sum(n % 7 != 3 for n in range(count))


def test_another_versions_entry_and_build_are_left_alone(tmp_path: Path) -> None:
    partial = tmp_path / ".partial-a"
    partial.mkdir()
    (partial / "journal.jsonl").write_text('[99, "whatever comes then"]\n')
    (partial / "rows.bin").write_bytes(b"somebody's")
    check(load(tmp_path))
    assert {file.name for file in partial.iterdir()} == {"journal.jsonl", "rows.bin"}
    manifest = tmp_path / "a" / "manifest.json"
    manifest.write_text('{"format": 2, "something": "else"}')
    with pytest.raises(UserError, match=r"in version 2 .* reads version 1\. Set DAIT_CACHE"):
        load(tmp_path)
    assert manifest.exists() and (tmp_path / "a" / "image.npy").exists()


def test_rows_may_all_be_bad(tmp_path: Path) -> None:
    rows = load(tmp_path, lambda number: StreamRow(None, "no"), count=20)
    assert rows.columns["place"].shape == (0, 2) and len(rows.remarks) == 20


def test_a_row_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    place, line = np.zeros(2, np.float32), np.zeros(5, np.uint16)
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.int64)):
        row = StreamRow({"line": line, "image": image, "place": place})
        with pytest.raises(ValueError, match="a row’s image is"):
            load(tmp_path, lambda number, row=row: row)
    for line in (np.zeros((5, 2), np.uint16), np.zeros(5, np.uint8)):
        with pytest.raises(ValueError, match="a row’s line is"):
            load(tmp_path, lambda number, line=line: StreamRow({"line": line}))
    assert names(tmp_path) == []


def test_a_stopped_build_is_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(StopError):
        load(tmp_path, progress=stop_after(2 * CHUNK + 20))
    assert names(tmp_path) == [".partial-a"]
    made: list[int] = []
    check(load(tmp_path, counting(made)))
    assert sorted(made) == list(range(2 * CHUNK, COUNT)) and names(tmp_path) == ["a"]


def test_a_build_stopped_in_its_first_chunk_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StopError):
        load(tmp_path, progress=stop_after(20))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("harm", "resumed"),
    [("line", CHUNK), ("rows", CHUNK), ("lost", 0), ("other", 0), ("more", 2 * CHUNK)],
)
def test_what_a_crash_of_the_machine_leaves(tmp_path: Path, harm: str, resumed: int) -> None:
    with pytest.raises(StopError):
        load(tmp_path, progress=stop_after(2 * CHUNK + 20))
    journal, images = (tmp_path / ".partial-a" / name for name in ("journal.jsonl", "image.npy"))
    if harm == "line":
        os.truncate(journal, journal.stat().st_size - 10)
    elif harm == "rows":
        os.truncate(images, 128 + 300 * 48)  # the first chunk has 219 rows
    elif harm == "lost":
        images.unlink()
    elif harm == "other":
        journal.write_bytes(b"[0]\n" + journal.read_bytes())
    else:
        with images.open("ab") as file:
            file.write(b"torn")
    made: list[int] = []
    check(load(tmp_path, counting(made)))
    assert min(made) == resumed


def test_a_finished_build_that_was_not_put_in_place_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail := failing(errno.EIO))
        patch.setattr(Path, "rename", fail)
        with pytest.raises(OSError, match="Input/output"):
            load(tmp_path)
    check(load(tmp_path, refuse))


def test_a_damaged_entry_is_built_anew(tmp_path: Path) -> None:
    load(tmp_path)
    os.truncate(tmp_path / "a" / "image.npy", 1000)
    check(load(tmp_path))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with pytest.raises(StopError):
        load(tmp_path, progress=stop_after(CHUNK + 20))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(code))  # where a disk that allocates late tells
        with pytest.raises(UserError, match=r"no room for \d+ MiB .*DAIT_CACHE"):
            load(tmp_path)
    assert names(tmp_path) == []
    check(load(tmp_path))


FULL = """
import shutil, sys
from pathlib import Path
import numpy as np
from dait.storage.stream import CHUNK, Column, Row, load_or_stream
from dait.errors import UserError

folder, filler = Path(sys.argv[1]) / "cache", Path(sys.argv[1]) / "filler"
columns = {"image": Column((32, 32, 3))}
def make(number):
    if number == CHUNK + 40:  # somebody else takes what is left
        with filler.open("wb") as file:
            free = shutil.disk_usage(filler.parent).free
            file.write(bytes(free - 64 * 1024))
    return Row({"image": np.zeros((32, 32, 3), np.uint8)})
def expect(count):
    try:
        load_or_stream(folder, "a", count, columns, make, lambda done: None)
    except UserError as error:
        print(error, [file.name for file in folder.iterdir()], filler.exists())
expect(10_000)
expect(1_000)
filler.unlink()
make = lambda number: Row({"image": np.ones((32, 32, 3), np.uint8)})
print(load_or_stream(folder, "a", 1_000, columns, make, print).columns["image"].sum())
"""


def test_a_small_disk(tmp_path: Path) -> None:
    """A disk of 6 MiB, mounted where this process alone sees it: where users may do that."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    script = 'mount -t tmpfs -o size=6m none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    result = subprocess.run(
        [*mount, script, "sh", str(tmp_path), sys.executable, FULL],
        env=os.environ | {"PYTHONPATH": str(Path(stream.__file__).parents[2])},
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

        def row(number: int) -> StreamRow:
            image = np.zeros(shape, np.uint8)
            return StreamRow(
                {"image": image[number % 9 :] if ragged else image, "row": np.array(number)}
            )

        load_or_stream(tmp_path, str(count), count, columns, row, quiet)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    few, many = peak(1_000), peak(6_000)  # 12 and 74 MB in all
    assert many < few + 4 * 2**20 and few < 12 * 2**20


def test_old_remains_are_swept_and_young_ones_and_live_ones_are_not(tmp_path: Path) -> None:
    for key in ("old", "young", "live"):
        with pytest.raises(StopError):
            load_or_stream(tmp_path, key, COUNT, COLUMNS, make, stop_after(CHUNK + 20))
        if key != "young":
            partial = tmp_path / f".partial-{key}"
            for file in (*partial.iterdir(), partial):
                os.utime(file, (1, 1))
    with stream.locked(tmp_path / ".lock-live", lambda: None):
        load(tmp_path)
        assert names(tmp_path) == [".lock-live", ".partial-live", ".partial-young", "a"]
    assert store.load_entry(tmp_path / "a") is not None
