"""Rows that are costly to make, written to the cache as they come, however many there are.

Threads make the rows, a few ahead of the one that is written, so memory holds only those few. The
files are appended to, not mapped, while they are written: a full disk then raises an error, whereas
a mapped page that finds no room kills the process.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dait.events import Emit, Progress, ignore
from dait.storage.cache import (
    entry_path,
    explaining_full_disk,
    load_entry,
    load_or_fill,
    write_manifest,
)
from dait.storage.processors import processors

_BLOCK = 8  # rows that a thread makes at a time: what a stop has to wait for
_BUFFER = 2**20  # bytes


@dataclass(frozen=True)
class Column:
    """What every row has under one name: an array of this shape and type.

    ragged: rows are flat arrays of different lengths, of about ``shape`` numbers each, stored one
    after the other as one flat array. Another column has to say where a row ends.
    """

    shape: tuple[int, ...]
    dtype: str = "uint8"
    ragged: bool = False

    @property
    def row_bytes(self) -> int:
        """Bytes of a row; of a ragged column, about."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Row:
    """``values`` for every column, or None where the row is to be left out.

    remark: why it is left out, or what is wrong with a row that is kept.
    """

    values: Mapping[str, np.ndarray] | None
    remark: str = ""


@dataclass(frozen=True)
class Rows:
    """All rows that were not left out.

    columns: ``(n, *shape)`` each (flat where ragged), read-only, memory-mapped. kept: ``(n,)``
    int64, the numbers of the rows. remarks: row number to remark, in order.
    """

    columns: Mapping[str, np.ndarray]
    kept: np.ndarray
    remarks: Mapping[int, str]


def load_or_build_rows(
    folder: Path,
    key: str,
    count: int,
    columns: Mapping[str, Column],
    make: Callable[[int], Row],
    what: str = "",
    emit: Emit = ignore,
) -> Rows:
    """The rows kept under ``key``, from ``make(0)`` to ``make(count - 1)`` the first time.

    make: is called by several threads at once.
    emit: hears ``Progress`` of ``what``, about a hundred times, and a ``Note`` when another process
        builds the same and is waited for; what it raises ends the build.

    A build that is interrupted leaves nothing and begins again with the next call. Raises
    ``ValueError`` for a key that is no plain file name or a row that does not fit its columns, and
    ``UserError`` where the disk is full.
    """
    size = count * sum(column.row_bytes for column in columns.values())

    def fill(temporary: Path) -> None:
        if size > shutil.disk_usage(temporary).free:  # better known now than in an hour
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _write_rows(temporary, count, columns, make, what, emit)
        write_manifest(temporary)

    entry = entry_path(folder, key)
    with explaining_full_disk(folder, lambda: size):
        arrays = load_or_fill(entry, load_entry, fill, emit)
    kept, numbers, words = (arrays.pop(name) for name in ("_kept", "_remarked", "_remarks"))
    return Rows(arrays, kept, dict(zip(numbers.tolist(), words.tolist(), strict=True)))


def cores() -> int:
    """Processors that this process may use, 8 at most."""
    return min(8, processors())


def _write_rows(
    folder: Path,
    count: int,
    columns: Mapping[str, Column],
    make: Callable[[int], Row],
    what: str,
    emit: Emit,
) -> None:
    step = max(1, count // 100)
    kept, remarks = list[int](), dict[int, str]()
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(closing(_ColumnFile(folder, name, column)))
            for name, column in columns.items()
        }
        for number, row in stack.enter_context(closing(_in_order(make, range(count)))):
            if row.remark:
                remarks[number] = row.remark
            if row.values is not None:
                kept.append(number)
                for name, file in files.items():
                    file.append(row.values[name])
            done = number + 1
            if done % step == 0 or done == count:
                emit(Progress(what, done, count))
        for file in files.values():
            file.finish(len(kept))
    np.save(folder / "_kept.npy", np.array(kept, dtype=np.int64))
    np.save(folder / "_remarked.npy", np.array(list(remarks), dtype=np.int64))
    np.save(folder / "_remarks.npy", np.array(list(remarks.values()), dtype=str))


class _ColumnFile:
    """An ``.npy`` file that rows are appended to; its header is completed at the end."""

    def __init__(self, folder: Path, name: str, column: Column) -> None:
        self._name, self._column, self._numbers = name, column, 0
        self._file = (folder / f"{name}.npy").open("wb", _BUFFER)
        self._header_bytes = self._write_header(0)

    def append(self, value: np.ndarray) -> None:
        """Raises ``ValueError`` for an array that does not fit the column."""
        column = self._column
        fits = value.ndim == 1 if column.ragged else value.shape == column.shape
        if not fits or value.dtype != np.dtype(column.dtype):
            raise ValueError(f"a row’s {self._name} is {value.shape} {value.dtype}, not {column}")
        self._file.write(np.ascontiguousarray(value).data)
        self._numbers += value.size

    def finish(self, rows: int) -> None:
        self._file.seek(0)
        # numpy leaves room in a header for any number of rows.
        assert self._write_header(rows) == self._header_bytes
        self._file.flush()
        os.fsync(self._file.fileno())  # some disks report only now that they are full

    def close(self) -> None:
        self._file.close()

    def _write_header(self, rows: int) -> int:
        column = self._column
        shape = (self._numbers,) if column.ragged else (rows, *column.shape)
        described = {"descr": np.dtype(column.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, described)
        return self._file.tell()


def _in_order(make: Callable[[int], Row], numbers: range) -> Generator[tuple[int, Row], None, None]:
    """Every number with its row, in order; threads work a few blocks ahead, and no more than that.

    Threads because Pillow decodes without holding the interpreter's lock.
    """
    blocks = (numbers[start : start + _BLOCK] for start in range(0, len(numbers), _BLOCK))
    ahead: deque[tuple[range, Future[list[Row]]]] = deque()
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
        pool.shutdown(cancel_futures=True)  # at once, when the build is stopped


def _make_block(make: Callable[[int], Row], block: range) -> list[Row]:
    return [make(number) for number in block]
