"""Rows that are costly to make, written to the cache as they come, however many they are.

``store.load_or_build`` is given whole arrays; ``load_or_stream`` is given a function of the row's
number. Threads make rows, a few ahead of the one that is written; the rows are appended to their
files in order, and memory holds those few. Every ``CHUNK`` rows the files are flushed and a
journal gets a line: a build that is killed or stopped is gone on with from there. The folder
of a build is named by its key and locked: a second process waits for the first, and takes over
where that dies.

The files are appended to, not mapped, while they are written: a full disk is then an error that can
be told, whereas a mapped page that finds no room kills the process.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dait.storage import arrays as store
from dait.storage.lock import locked

CHUNK = 256
"""Rows between two lines of the journal: what a kill costs at most."""

_BLOCK = 8  # rows that a thread makes at a time: what a stop has to wait for
_HEADER = 128  # bytes of an .npy file before its rows
_BUFFER = 2**20
_FORMAT = 2
_PARTIAL, _LOCK = ".partial-", ".lock-"
_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Column:
    """What every row has under one name: an array of this shape and type.

    ragged: rows are flat, of about ``shape`` numbers but each of its own length, and are kept one
    behind the other as one flat array. Another column has to tell where a row ends.
    """

    shape: tuple[int, ...]
    dtype: str = "uint8"
    ragged: bool = False

    @property
    def row_bytes(self) -> int:
        """Of a ragged column, about."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def kept_shape(self, rows: int, size: int) -> tuple[int, ...]:
        """Of ``rows`` rows in ``size`` bytes."""
        return (size // np.dtype(self.dtype).itemsize,) if self.ragged else (rows, *self.shape)


@dataclass(frozen=True)
class StreamRow:
    """``values`` for every column, or None where the row is to be left out.

    remark: why it is, or what is wrong with a row that is kept.
    """

    values: Mapping[str, np.ndarray] | None
    remark: str = ""


@dataclass(frozen=True)
class Rows:
    """What was kept.

    columns: ``(n, *shape)`` each (flat where ragged), read-only, memory-mapped. kept: ``(n,)``
    int64, the numbers of the rows that were not left out. remarks: row number to remark, in order.
    """

    columns: Mapping[str, np.ndarray]
    kept: np.ndarray
    remarks: Mapping[int, str]


def load_or_stream(
    cache_dir: Path,
    key: str,
    count: int,
    columns: Mapping[str, Column],
    make: Callable[[int], StreamRow],
    progress: Callable[[int], object],
) -> Rows:
    """The rows kept under ``key``, made by ``make(0)`` to ``make(count - 1)`` the first time.

    make: is called by several threads at once.
    progress: hears from this thread how many rows are done, a hundred times or so, and while
        another process builds; what it raises ends the build.

    A build that ends by what ``make`` or ``progress`` raises keeps its whole chunks for the next
    call. Raises ``ValueError`` for a key that is no plain file name or a row that does not fit its
    columns, and ``UserError`` where the disk is full; nothing of the build is left then.
    """
    entry = store.entry_path(cache_dir, key)
    arrays = store.load_entry(entry)
    if arrays is None:
        entry.parent.mkdir(parents=True, exist_ok=True)
        _sweep(entry.parent)
        build = _Build(entry.parent / (_PARTIAL + key), count, columns)
        with locked(_lock_of(build.folder), lambda: progress(build.length())) as held:
            arrays = store.load_entry(entry)  # by whoever held the lock before
            if arrays is None:
                if not held:  # several may build at once, each for itself; the first one counts
                    build.folder = store.temporary_folder(entry.parent)
                build.run(entry, make, progress)
                arrays = store.load_entry(entry)
    if arrays is None:
        raise store.not_kept(entry.parent)
    kept, numbers, words = (arrays.pop(name) for name in ("_kept", "_remarked", "_remarks"))
    return Rows(arrays, kept, dict(zip(numbers.tolist(), words.tolist(), strict=True)))


def cores() -> int:
    """Processors that this process may use, 8 at most."""
    if hasattr(os, "sched_getaffinity"):
        return min(8, len(os.sched_getaffinity(0)))
    return min(8, os.cpu_count() or 1)


class _Build:
    """The folder of a build under way: a file per column, and the journal.

    The journal's first line says what is built. Every other line is a chunk's: how many rows were
    made and kept until its end, in how many bytes of each file, and which rows of the chunk were
    dropped or remarked upon.
    """

    def __init__(self, folder: Path, count: int, columns: Mapping[str, Column]) -> None:
        self.folder, self.count, self.columns = folder, count, columns
        self.made = self.kept = 0
        self.sizes = dict.fromkeys(columns, 0)  # bytes of each file, without its header
        self.dropped: list[int] = []
        self.remarks: dict[int, str] = {}
        shapes = {name: list(vars(column).values()) for name, column in columns.items()}
        self._title = json.dumps([_FORMAT, count, shapes]).encode() + b"\n"
        self._row_bytes = sum(column.row_bytes for column in columns.values())

    def length(self) -> int:
        """Rows in the first file: how far whoever builds has come, or a little behind."""
        name, column = next(item for item in self.columns.items() if not item[1].ragged)
        try:
            size = self._file(name).stat().st_size
        except FileNotFoundError:  # not begun yet, or just finished
            return 0
        return max(0, (size - _HEADER) // column.row_bytes)

    def run(
        self, entry: Path, make: Callable[[int], StreamRow], progress: Callable[[int], object]
    ) -> None:
        """Builds, or goes on building, and puts the entry in its place."""
        try:
            self._resume()
            left = (self.count - self.made) * self._row_bytes
            if left > shutil.disk_usage(self.folder).free:  # better known now than in an hour
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._append(make, progress)
            self._finish(entry)
        except OSError as error:
            if not store.is_full(error):
                raise
            self.made = 0
            raise store.no_room(entry.parent, self.count * self._row_bytes) from error
        finally:
            # Nothing to go on with, or a folder of this build alone.
            if not self.made or not self.folder.name.startswith(_PARTIAL):
                shutil.rmtree(self.folder, ignore_errors=True)

    def _resume(self) -> None:
        """Takes up what the journal vouches for, and cuts the rest off every file."""
        journal, whole = self.folder / _JOURNAL, 0
        lines = journal.read_bytes().splitlines(keepends=True) if journal.is_file() else []
        if lines and _format_of(lines[0]) not in (None, _FORMAT):
            # Another version's build, which may be under way: it stays, and this one is apart.
            self.folder = store.temporary_folder(self.folder.parent)
            journal, lines = self.folder / _JOURNAL, []
        if lines[:1] == [self._title]:
            for number, line in enumerate(lines):
                # A crash of the machine may have cut short the journal, or the files behind it.
                if not line.endswith(b"\n") or (number and not self._have(json.loads(line)[2])):
                    break
                whole += len(line)
                if number:
                    self._take(*json.loads(line))
        if not self.made:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            journal.write_bytes(self._title)
            whole = len(self._title)
        os.truncate(journal, whole)
        for name, size in self.sizes.items():
            self._file(name).touch()
            os.truncate(self._file(name), _HEADER + size)

    def _append(self, make: Callable[[int], StreamRow], progress: Callable[[int], object]) -> None:
        step = max(1, self.count // 100)
        kept, dropped, remarks = self.kept, list[int](), list[tuple[int, str]]()
        sizes = dict(self.sizes)
        with ExitStack() as stack:
            files = {
                name: stack.enter_context(self._file(name).open("ab", _BUFFER))
                for name in self.columns
            }
            journal = stack.enter_context((self.folder / _JOURNAL).open("ab"))
            rows = stack.enter_context(closing(_in_order(make, range(self.made, self.count))))
            for number, row in rows:
                if row.remark:
                    remarks.append((number, row.remark))
                if row.values is None:
                    dropped.append(number)
                else:
                    for name, file in files.items():
                        sizes[name] += file.write(self._checked(name, row.values[name]).data)
                    kept += 1
                done = number + 1
                if done % CHUNK == 0 or done == self.count:
                    for file in files.values():  # rows first, and only then the word that they are
                        file.flush()
                    chunk = (done, kept, dict(sizes), dropped, remarks)
                    journal.write(json.dumps(chunk).encode() + b"\n")
                    journal.flush()
                    self._take(*chunk)
                    dropped, remarks = [], []
                if done % step == 0 or done == self.count:
                    progress(done)

    def _take(
        self,
        made: int,
        kept: int,
        sizes: dict[str, int],
        dropped: list[int],
        remarks: list[tuple[int, str]],
    ) -> None:
        self.made, self.kept, self.sizes = made, kept, sizes
        self.dropped += dropped
        self.remarks.update(remarks)

    def _finish(self, entry: Path) -> None:
        for name, column in self.columns.items():
            with self._file(name).open("r+b") as file:
                shape = column.kept_shape(self.kept, self.sizes[name])
                file.write(_header(shape, column.dtype))
                file.flush()
                os.fsync(file.fileno())  # some disks tell only now that they are full
        kept = np.setdiff1d(np.arange(self.count, dtype=np.int64), self.dropped)
        np.save(self.folder / "_kept.npy", kept)
        np.save(self.folder / "_remarked.npy", np.array(list(self.remarks), dtype=np.int64))
        np.save(self.folder / "_remarks.npy", np.array(list(self.remarks.values()), dtype=str))
        store.place_entry(self.folder, entry)
        (entry / _JOURNAL).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _have(self, sizes: Mapping[str, int]) -> bool:
        files = {self._file(name): _HEADER + size for name, size in sizes.items()}
        return all(file.is_file() and file.stat().st_size >= files[file] for file in files)

    def _checked(self, name: str, value: np.ndarray) -> np.ndarray:
        column = self.columns[name]
        fits = value.ndim == 1 if column.ragged else value.shape == column.shape
        if not fits or value.dtype != np.dtype(column.dtype):
            raise ValueError(f"a row’s {name} is {value.shape} {value.dtype}, not {column}")
        return np.ascontiguousarray(value)


def _in_order(
    make: Callable[[int], StreamRow], numbers: range
) -> Generator[tuple[int, StreamRow], None, None]:
    """Every number with its row, in order; threads are a few blocks ahead, and no more than that.

    Threads because Pillow decodes without holding the interpreter's lock.
    """
    blocks = (numbers[start : start + _BLOCK] for start in range(0, len(numbers), _BLOCK))
    ahead: deque[tuple[range, Future[list[StreamRow]]]] = deque()
    workers = cores()
    pool = ThreadPoolExecutor(workers)
    try:
        for block in blocks:
            ahead.append((block, pool.submit(_make_block, make, block)))
            if len(ahead) > 2 * workers:
                done, rows = ahead.popleft()
                yield from zip(done, rows.result(), strict=True)
        for done, rows in ahead:
            yield from zip(done, rows.result(), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # at once, when the listener asks to stop


def _make_block(make: Callable[[int], StreamRow], block: range) -> list[StreamRow]:
    return [make(number) for number in block]


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    """An ``.npy`` file's (version 1.0) first 128 bytes, whatever the number of rows will be."""
    facts = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    text = repr(facts).encode().ljust(_HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def _format_of(title: bytes) -> int | None:
    """The version that a journal's first line names; None where it is damaged."""
    try:
        return int(json.loads(title)[0])
    except (ValueError, TypeError, LookupError):
        return None


def _lock_of(partial: Path) -> Path:
    return partial.with_name(_LOCK + partial.name[len(_PARTIAL) :])


class _BusyError(Exception):
    pass


def _give_up() -> None:
    raise _BusyError


def _sweep(folder: Path) -> None:
    """Removes what killed builds left: of this version of a data set, perhaps nobody asks again."""
    store.sweep(folder)
    for partial in folder.glob(f"{_PARTIAL}*"):
        try:
            touched = max(file.stat().st_mtime for file in (partial, *partial.iterdir()))
            if time.time() - touched > store.STALE_AFTER:
                with locked(_lock_of(partial), _give_up):
                    shutil.rmtree(partial, ignore_errors=True)
        except (FileNotFoundError, _BusyError):  # just finished, or under way
            continue
