"""A CSV file that names photographs and their classes, as a listing."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO
from unicodedata import category

from dait.data.base import ALL_SPLITS, UNLABELLED, Problem, SplitName
from dait.data.folders.folder import class_infos, licence_of
from dait.data.folders.layout import (
    quoted,
    require_fractions,
    require_photographs,
    split_in_three,
)
from dait.data.folders.listing import ImageEntry, LeftOut, Listing, hold_out
from dait.data.folders.names import (
    about_splits,
    natural_key,
    nfc,
    on_disk,
    second_words,
    split_of,
    stable_ids,
)
from dait.data.folders.scan import FolderScan
from dait.errors import UserError

MAX_BYTES = 2**29
MAX_ROWS = 5_000_000

_PATH = ("path", "image", "file", "filename")
_LABEL = ("label", "class")
_SPLIT = ("split",)
_DELIMITERS = (",", ";", "\t")
_EXPECTED = (
    "Its first line should read ‘path,label’ or ‘path,label,split’ (‘image’, ‘file’ or ‘filename’ "
    "for the path and ‘class’ for the label will do; commas, semicolons or tabs between)."
)
_LONGEST = 200  # characters of a label
_LONGEST_HEADER = 2**14  # characters
_MOST_PROBLEMS = 10_000  # kept; a table that is all wrong needs no list of a million
_MOST_FILES = 1_000_000  # beside a table, looked through for images that it does not name


@dataclass(frozen=True)
class _Row:
    """A row of the table; ``number`` is the spreadsheet's, so the header's is 1."""

    number: int
    path: str
    label: str
    split: str | None


@dataclass(frozen=True)
class _Columns:
    """Their places, counted from 0; None where the table has no splits."""

    path: int
    label: int
    split: int | None


def list_table(
    path: str | Path,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Listing:
    """The photographs that a CSV names, by paths relative to its folder; nothing is decoded.

    The columns are ``path``, ``label`` and perhaps ``split`` (``train``, ``val``, ``test``,
    ``unlabelled``, or other words for them). Rows of ``unlabelled`` need no label. Without
    ``split``, and without rows for ``val``, the photographs are split as those of a folder are
    (``list_folder``); ``classes.csv`` and ``LICENSE`` beside the table are read as there. Rows that
    cannot be used (no such file, outside the folder, a file named before) are ``problems``, images
    that no row names are ``left_out``. Labels and paths are compared in Unicode's composed form.

    Raises ``UserError`` for a table that is not UTF-8 text with these columns, is larger than
    ``MAX_BYTES`` or ``MAX_ROWS``, has an unknown word for a split, or too few photographs of a
    class.
    """
    require_fractions(val_fraction, test_fraction)
    table = Path(path).expanduser()
    reading = _Reading(table)
    with _opened(table) as lines:
        delimiter, columns = _require_header(table, lines)
        for row in _rows(table, lines, delimiter, columns):
            reading.add(row)
    reading.compose_ids()
    if columns.split is not None:
        names, splits, notes = _given_splits(reading, val_fraction, split_seed)
    else:
        names, entries = _labelled(table, reading.found[""], reading.problems)
        splits, note = split_in_three(names, entries, val_fraction, test_fraction, split_seed)
        notes = [note]
    classes, unknown = class_infos(table.parent, tuple(names))
    left_out, more = reading.left_out()
    return Listing(
        name=table.stem,
        root=table.parent,
        classes=classes,
        splits={split: splits[split] for split in ALL_SPLITS if split in splits},
        licence=licence_of(table.parent),
        problems=tuple(reading.problems),
        notes=(*notes, *unknown, *more),
        left_out=left_out,
    )


def is_table(path: Path) -> bool:
    """Whether a file begins like a table that ``list_table`` reads."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return _header(lines.readline(_LONGEST_HEADER)) is not None
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


class _Reading:
    """The entries by the word for their split, each with its label, and what is wrong with others.

    found: of the word that the table uses; "" where it has no splits.
    """

    def __init__(self, table: Path) -> None:
        self.table = table
        self.found: dict[str, list[tuple[ImageEntry, str]]] = {"": []}
        self.problems: list[Problem] = []
        self._further = 0  # problems that are not kept
        self._named: set[str] = set()
        self._spelled: dict[str, dict[str, str]] = {}
        self._root = Path(os.path.normpath(table.parent.absolute()))
        self._prefix = os.path.join(self._root, "")  # noqa: PTH118 - it ends with a slash
        self._inside = self._root.resolve()
        self._folders: dict[str, bool] = {}  # by path: whether it is inside once links are followed
        self._seen: dict[str, int] = {}

    def add(self, row: _Row) -> None:
        """Keeps the row's entry, or what is wrong with it."""
        if row.split is not None and split_of(row.split) is None:
            raise UserError(
                f"Row {row.number} of ‘{self.table}’ has the split ‘{row.split[:40]}’. "
                f"Use one of: {', '.join(ALL_SPLITS)}."
            )
        entry = self._entry(row)
        if isinstance(entry, ImageEntry):
            self._seen[str(entry.file)] = row.number
            self.found.setdefault(row.split or "", []).append((entry, row.label))
        elif len(self.problems) < _MOST_PROBLEMS:
            shown = row.path if row.path.isprintable() else ascii(row.path)
            self.problems.append(Problem(shown[:300] or f"row {row.number}", entry))
        else:
            self._further += 1

    def compose_ids(self) -> None:
        """Give every entry an id that does not depend on the disk's Unicode form."""
        ids = iter(stable_ids([entry.id for rows in self.found.values() for entry, _ in rows]))
        for word, rows in self.found.items():
            self.found[word] = [(replace(entry, id=next(ids)), label) for entry, label in rows]

    def left_out(self) -> tuple[tuple[LeftOut, ...], list[str]]:
        """The images in the table's folder that no usable row names, and notes."""
        notes = []
        if self._further:
            notes.append(f"{self._further:,} further rows of the table cannot be used.")
        words = [word for word in self.found if word]
        seconds = second_words(words)
        try:
            scan = FolderScan(self._root, _MOST_FILES)
        except UserError:
            notes.append(
                f"The table's folder holds more than {_MOST_FILES:,} files; images that the table "
                "does not name were not looked for."
            )
            return (), notes
        for word, better in seconds.items():
            paths = [entry.id for entry, _ in self.found[word]]
            scan.leave_out(
                paths, f"‘{word}’ means the {split_of(word)} split, which ‘{better}’ is already"
            )
        photos = scan.top.all_photos()
        scan.leave_out(
            (photo for photo in photos if photo not in self._named), "the table names no label"
        )
        return scan.left_out, notes

    def _entry(self, row: _Row) -> ImageEntry | str:
        """The entry, its label still 0, or why there is none."""
        where = f"(row {row.number})"
        if not row.path:
            return f"names no file {where}"
        if not row.label and (row.split is None or split_of(row.split) != "unlabelled"):
            return f"has no label {where}"
        if len(row.label) > _LONGEST or _strange(row.label):
            return f"has a label that is too long or has control characters {where}"
        if _strange(row.path):
            return f"has control characters in its name {where}"
        located = self._locate(row.path)
        if located is None:
            return f"is not in the table's folder {where}"
        file, name = Path(located), located[len(self._prefix) :].replace(os.sep, "/")
        self._named.add(name)
        try:
            about = file.stat()
            if not stat.S_ISREG(about.st_mode):
                return f"is not a file {where}"
            if not self._stays_inside(file):
                return f"is a link that leads out of the table's folder {where}"
        except (OSError, ValueError):
            return f"is not there {where}"
        if str(file) in self._seen:
            return f"is in row {self._seen[str(file)]} already {where}"
        if not os.access(file, os.R_OK):
            return f"cannot be read, permission denied {where}"
        return ImageEntry(name, 0, file, about.st_size, about.st_mtime_ns)

    def _locate(self, name: str) -> str | None:
        """The path of the file that a row means; None for one that is outside by its very name."""
        file = os.path.normpath(self._root / name)
        if "\\" in name and os.sep == "/" and not os.path.lexists(file):  # written on Windows
            file = os.path.normpath(self._root / name.replace("\\", "/"))
        if not file.isascii():
            file = str(on_disk(Path(file), self._spelled))
        return file if file.startswith(self._prefix) else None

    def _stays_inside(self, file: Path) -> bool:
        if file.is_symlink():
            return file.resolve().is_relative_to(self._inside)
        folder = str(file.parent)
        if folder not in self._folders:
            self._folders[folder] = file.parent.resolve().is_relative_to(self._inside)
        return self._folders[folder]


@contextmanager
def _opened(table: Path) -> Iterator[TextIO]:
    """The lines of the table; what is wrong with them, while they are read, becomes a sentence."""
    if not table.is_file():
        raise UserError(f"There is no table ‘{table}’. Check the path.")
    size = table.stat().st_size
    if size > MAX_BYTES:
        raise UserError(
            f"‘{table}’ is {size / 2**20:.0f} MiB; a table has at most {MAX_BYTES // 2**20} MiB."
        )
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except UnicodeDecodeError as error:
        raise UserError(f"‘{table}’ is not UTF-8 text. Save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise UserError(f"‘{table}’ is not a CSV file: {error}.") from error
    except OSError as error:
        raise UserError(f"‘{table}’ cannot be read ({error.strerror or error}).") from error


def _require_header(table: Path, lines: TextIO) -> tuple[str, _Columns]:
    first = lines.readline(_LONGEST_HEADER)
    found = _header(first)
    if found is None:
        shown = "".join(letter for letter in first[:80] if letter.isprintable())
        raise UserError(f"‘{table}’ begins with ‘{shown}’. {_EXPECTED}")
    return found


def _header(line: str) -> tuple[str, _Columns] | None:
    """The delimiter, and where the path, the label and perhaps the split are."""
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        names = [cell.strip().lower() for cell in cells]
        path, label = _place(names, _PATH), _place(names, _LABEL)
        if path is not None and label is not None:
            return delimiter, _Columns(path, label, _place(names, _SPLIT))
    return None


def _rows(table: Path, lines: TextIO, delimiter: str, columns: _Columns) -> Iterator[_Row]:
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), start=2):
        if number > MAX_ROWS + 1:
            raise UserError(f"‘{table}’ has more than {MAX_ROWS:,} rows. Divide it.")
        if not any(cells):
            continue
        cells += [""] * (1 + max(columns.path, columns.label, columns.split or 0) - len(cells))
        split = None if columns.split is None else cells[columns.split].strip()
        label = nfc(cells[columns.label].strip())
        yield _Row(number, cells[columns.path].strip(), label, split)


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _strange(text: str) -> bool:
    return not text.isprintable() and any(category(letter) in ("Cc", "Cs") for letter in text)


def _labelled(
    table: Path, found: list[tuple[ImageEntry, str]], problems: Sequence[Problem]
) -> tuple[list[str], list[ImageEntry]]:
    """The classes in natural order, and the entries with their labels."""
    names = sorted({label for _, label in found}, key=natural_key)
    if not names:
        first = f"; the first, ‘{problems[0].file}’, {problems[0].reason}" if problems else ""
        raise UserError(f"No row of ‘{table}’ names a photograph that can be used{first}.")
    if len(names) == 1:
        raise UserError(
            f"‘{table}’ has only one class, ‘{names[0]}’. A classifier needs two or more."
        )
    labels = {name: label for label, name in enumerate(names)}
    return names, [replace(entry, label=labels[label]) for entry, label in found]


def _by_split(reading: _Reading) -> tuple[dict[SplitName, list[tuple[ImageEntry, str]]], list[str]]:
    """The entries of the words that name a split best, and a note on words that are read as one."""
    seconds = second_words(word for word in reading.found if word)
    words = [word for word in reading.found if word and word not in seconds]
    found: dict[SplitName, list[tuple[ImageEntry, str]]] = {split: [] for split in ALL_SPLITS}
    for word in words:
        split = split_of(word)
        if split is not None:
            found[split] += reading.found[word]
    return found, about_splits(words)


def _given_splits(
    reading: _Reading, val_fraction: float, seed: int
) -> tuple[list[str], Mapping[SplitName, tuple[ImageEntry, ...]], list[str]]:
    (found, notes), table = _by_split(reading), reading.table
    for needed in ("train", "test"):
        if not found[needed]:
            raise UserError(
                f"‘{table}’ has no usable row for the split ‘{needed}’. Add some, or leave out the "
                "column ‘split’ to have the photographs split for you."
            )
    names, train = _labelled(table, found["train"], reading.problems)
    labels = {name: label for label, name in enumerate(names)}
    splits: dict[SplitName, tuple[ImageEntry, ...]] = {"train": tuple(train)}
    evaluated: tuple[SplitName, ...] = ("val", "test")
    for split in evaluated:
        unknown = sorted({label for _, label in found[split]} - set(names), key=natural_key)
        if unknown:
            raise UserError(
                f"‘{table}’ has {quoted(unknown)} in ‘{split}’ but not in ‘train’. Add rows for "
                "training, or remove these."
            )
        splits[split] = tuple(replace(entry, label=labels[word]) for entry, word in found[split])
    if not splits["val"]:
        purpose = "training and validation (there are no rows for ‘val’)"
        require_photographs(names, splits["train"], 2, purpose)
        splits["train"], splits["val"] = hold_out(splits["train"], val_fraction, seed, "val")
        notes.append(
            f"There are no rows for ‘val’: {len(splits['val'])} training photographs are held out "
            "for validation."
        )
    for split in evaluated:
        absent = len(names) - len({entry.label for entry in splits[split]})
        if absent:
            notes.append(f"{absent} of {len(names)} classes have no photograph in ‘{split}’.")
    unlabelled = found["unlabelled"]
    if unlabelled:
        splits["unlabelled"] = tuple(replace(entry, label=UNLABELLED) for entry, _ in unlabelled)
        notes.append(f"{len(unlabelled):,} rows are of images without labels (‘unlabelled’).")
        given = sum(bool(label) for _, label in unlabelled)
        if given:
            notes.append(f"{given:,} of these rows have a label, which is not read.")
    return names, splits, notes
