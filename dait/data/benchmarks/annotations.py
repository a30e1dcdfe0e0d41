"""The lists that come with the images, as text and as MATLAB files, read with sentences.

A published file that does not say what it should has been damaged, cut short or mixed up with
another: every message names it, and the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dait.data.base import Box
from dait.errors import UserError

_AGAIN = "Unpack the published archive again."


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """``(line number from 1, text)`` of the lines of a text file that are not empty."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"‘{file}’ is missing. {_AGAIN}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"‘{file}’ cannot be read as text ({error}). {_AGAIN}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def table(file: Path, columns: int) -> list[list[str]]:
    """The words of every line; the last column is the rest of the line, spaces included."""
    rows = []
    for number, line in lines(file):
        words = line.split(None, columns - 1)
        if len(words) != columns:
            raise damaged(file, f"line {number} has {len(words)} columns, not {columns}: ‘{line}’")
        rows.append(words)
    if not rows:
        raise damaged(file, "it is empty")
    return rows


def mapping(file: Path) -> dict[str, str]:
    """A text file of two columns, the first of which names something once."""
    pairs = table(file, 2)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise damaged(file, "it names something twice")
    return found


def boxes(file: Path) -> dict[str, Box]:
    """A text file of five columns: a name and four numbers."""
    found = {}
    for name, *words in table(file, 5):
        try:
            one, two, three, four = (float(word) for word in words)
        except ValueError as error:
            raise damaged(file, f"{' '.join(words)} of ‘{name}’ are not four numbers") from error
        found[name] = (one, two, three, four)
    return found


def label(file: Path, value: Any, count: int) -> int:
    """A published class number, 1 to ``count``, as an index from 0."""
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise damaged(file, f"‘{value}’ is no class number") from error
    if not 1 <= number <= count:
        raise damaged(file, f"it has the class {number}, but there are {count} classes")
    return number - 1


def known(file: Path, name: str, table: dict[str, Any], what: str) -> Any:
    """``table[name]``; raises ``UserError``, which names ``what`` is missing."""
    if name not in table:
        raise damaged(file, f"‘{name}’ has no {what}")
    return table[name]


def inside(folder: Path, name: str) -> Path:
    """A path that a list gives, below ``folder``: lists are data, and may not lead out of it."""
    unsafe = any(part in ("", ".", "..") for part in name.split("/"))
    if unsafe or "\\" in name or ":" in name:
        raise UserError(f"A list of ‘{folder}’ names ‘{name}’, which is no path inside it.")
    return folder / name  # one path object an image: they are what a listing takes longest for


@dataclass(frozen=True)
class AnnotationRow:
    """An image of CUB-200-2011 or NABirds: ``path`` is below ``images``."""

    path: str
    class_id: str
    training: bool
    file: Path
    box: Box


def read_rows(root: Path) -> Iterator[AnnotationRow]:
    """Every image of CUB-200-2011 or NABirds: ``images.txt`` and the lists keyed by its ids.

    Boxes are published as left, top, width, height. Raises ``UserError`` for lists that are missing
    or do not fit together.
    """
    listed = root / "images.txt"
    labels = mapping(root / "image_class_labels.txt")
    training = mapping(root / "train_test_split.txt")
    areas = boxes(root / "bounding_boxes.txt")
    for image, path in mapping(listed).items():
        part = known(listed, image, training, "line in train_test_split.txt")
        if part not in ("0", "1"):
            raise damaged(root / "train_test_split.txt", f"‘{image}’ has {part}, neither 0 nor 1")
        left, top, width, height = known(listed, image, areas, "line in bounding_boxes.txt")
        yield AnnotationRow(
            path,
            known(listed, image, labels, "line in image_class_labels.txt"),
            part == "1",
            inside(root / "images", path),
            (left, top, left + width, top + height),
        )


def matlab(file: Path, *names: str) -> list[np.ndarray]:
    """Variables of a MATLAB file, flat: ``(N,)`` arrays, of numbers, strings or records."""
    from scipy.io import loadmat  # takes long to import, and the app starts with this module

    if not file.is_file():
        raise UserError(f"‘{file}’ is missing. {_AGAIN}")
    try:
        found = loadmat(file, squeeze_me=True)
    except Exception as error:  # hostile bytes make the reader raise nearly anything
        raise damaged(
            file, f"it is no MATLAB file ({str(error) or type(error).__name__})"
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise damaged(file, f"it has no variable ‘{missing[0]}’")
    return [np.atleast_1d(found[name]) for name in names]


def damaged(file: Path, what: str) -> UserError:
    """The sentence for a published file that is not as published."""
    return UserError(f"‘{file}’ is not as it was published: {what}. {_AGAIN}")
