"""Rows of a made-up kind, and how they are kept and checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dait.storage.stream import CHUNK, Column, Rows, StreamRow, load_or_stream

COLUMNS = {
    "line": Column((3,), "uint16", ragged=True),
    "image": Column((4, 4, 3)),
    "place": Column((2,), "float32"),
}
COUNT = 3 * CHUNK + 17


def make(number: int) -> StreamRow:
    """Every seventh row is dropped, every fifth remarked upon."""
    if number % 7 == 3:
        return StreamRow(None, f"row {number} is bad – ‘schlecht’")
    image = np.full((4, 4, 3), number % 251, np.uint8)
    remark = "so so" if number % 5 == 0 else ""
    place = np.array([number, -number], np.float32)
    return StreamRow({"line": line(number), "image": image, "place": place}, remark)


def line(number: int) -> np.ndarray:
    """Of none to five numbers."""
    return np.arange(number, number + number % 6, dtype=np.uint16)


def refuse(number: int) -> StreamRow:
    raise AssertionError(f"row {number} was made again")


def quiet(done: int) -> None:
    pass


def load(
    folder: Path,
    make: Callable[[int], StreamRow] = make,
    progress: Callable[[int], object] = quiet,
    count: int = COUNT,
) -> Rows:
    return load_or_stream(folder, "a", count, COLUMNS, make, progress)


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


class StopError(Exception):
    pass


def stop_after(rows: int) -> Callable[[int], None]:
    def progress(done: int) -> None:
        if done > rows:
            raise StopError

    return progress


def counting(made: list[int]) -> Callable[[int], StreamRow]:
    def make_and_count(number: int) -> StreamRow:
        made.append(number)
        return make(number)

    return make_and_count


def failing(code: int) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail
