"""What a folder of photographs holds: its classes and splits, found by name and by suffix.

Two layouts are read: ``split/class/*`` (``train``, ``val``, ``test``; ``valid`` and ``validation``
mean ``val``) and ``class/*``, which is then split. Nothing is decoded here.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from dait.data.base import SPLITS, Problem, SplitName
from dait.data.listing import Entry, hold_out
from dait.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")

SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_LITTER = ("thumbs.db", "desktop.ini", "__macosx")  # left by operating systems, like .DS_Store
_EXPECTED = "Expected ‘split/class/*.jpg’ (train, val, test) or ‘class/*.jpg’."


@dataclass(frozen=True)
class Layout:
    """The classes in natural order, the photographs of each split, and what was left aside.

    ignored: suffix to number of files that are no photographs (``.txt``, or ``(none)``).
    notes: sentences on choices that were made (a held-out split, classes without a test photo).
    """

    classes: tuple[str, ...]
    splits: Mapping[SplitName, tuple[Entry, ...]]
    problems: tuple[Problem, ...]
    ignored: Mapping[str, int]
    notes: tuple[str, ...]


def read_layout(
    root: Path, val_fraction: float = 0.1, test_fraction: float = 0.2, split_seed: int = 0
) -> Layout:
    """Lists ``root``; raises ``UserError`` with a sentence for a folder that cannot be used.

    val_fraction, test_fraction: of all photographs for ``class/*``; of the training photographs
        where ``split/class/*`` has no validation split. Per class, at least one image a split.
    split_seed: orders the photographs of a class by a hash of seed and name, so adding a photograph
        moves few others.
    """
    require_fractions(val_fraction, test_fraction)
    if not root.exists():
        raise UserError(f"There is no folder ‘{root}’. Check the path.")
    if not root.is_dir():
        raise UserError(f"‘{root}’ is a file, not a folder of photographs. {_EXPECTED}")
    scan = _Scan(root)
    folders = scan.folders(root)
    splits = scan.split_folders(folders)
    if splits:
        return _read_splits(scan, splits, val_fraction, split_seed)
    return _read_classes(scan, folders, val_fraction, test_fraction, split_seed)


class _Scan:
    """Walks one folder: natural order, no hidden files, no links that lead out of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._inside = root.resolve()
        self.problems: list[Problem] = []
        self.ignored: Counter[str] = Counter()

    def folders(self, folder: Path) -> list[Path]:
        return [Path(entry.path) for entry in self._entries(folder) if entry.is_dir()]

    def split_folders(self, folders: list[Path]) -> dict[SplitName, Path]:
        """The folders that are splits; none where ``train`` or ``test`` is a class of its own.

        A split holds class folders, a class holds photographs: ``train/0001.jpg`` beside
        ``bus/`` is the class of trains.
        """
        named = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
        nested = [folder for folder in named if self.folders(folder)]
        if not nested:
            if named and len(named) == len(folders):
                raise UserError(
                    f"‘{self.root}’ has {quoted(f.name for f in named)}, but no class folders in "
                    f"them. {_EXPECTED}"
                )
            return {}
        found: dict[SplitName, Path] = {}
        for folder in named:
            split = SPLIT_NAMES[folder.name.lower()]
            if split in found:
                raise UserError(
                    f"‘{self.root}’ has both ‘{found[split].name}’ and ‘{folder.name}’, which mean "
                    f"the same split ({split}). Keep one."
                )
            found[split] = folder
        return found

    def photos(self, folder: Path, label: int) -> list[Entry]:
        """The image files directly in a class folder; counts the others."""
        found = []
        below = folder.relative_to(self.root).as_posix()
        for entry in self._entries(folder):
            if not entry.is_file():
                continue
            suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - of 100,000 files
            if suffix not in SUFFIXES:
                self.ignored[suffix or "(none)"] += 1
            elif not os.access(entry.path, os.R_OK):
                self._refuse(entry.path, "cannot be read (permission denied)")
            else:
                about, name, file = entry.stat(), f"{below}/{entry.name}", Path(entry.path)
                found.append(Entry(name, label, file, about.st_size, about.st_mtime_ns))
        return found

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except PermissionError as error:
            raise UserError(
                f"The folder ‘{folder}’ cannot be listed: permission denied."
            ) from error
        kept = []
        for entry in sorted(entries, key=lambda entry: natural_key(entry.name)):
            if entry.name.startswith(".") or entry.name.lower() in _LITTER:
                continue
            if any(category(character) in ("Cc", "Cs") for character in entry.name):
                self._refuse(ascii(entry.name), "has control characters in its name; rename it")
            elif not entry.is_symlink() or self._stays_inside(entry.path):
                kept.append(entry)
        return kept

    def _stays_inside(self, link: str) -> bool:
        target = Path(link).resolve()
        if not target.is_relative_to(self._inside):
            self._refuse(link, "is a link that leads out of the folder")
        elif not target.exists():
            self._refuse(link, "is a link that leads nowhere")
        else:
            return True
        return False

    def _refuse(self, path: str, reason: str) -> None:
        inside = Path(path)
        name = inside.relative_to(self.root) if inside.is_relative_to(self.root) else inside
        problem = Problem(name.as_posix(), reason)
        if problem not in self.problems:  # a folder may be listed twice while it is recognised
            self.problems.append(problem)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts ``img2`` before ``img10``, whatever the case; ties by the name itself."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if odd % 2 else part for odd, part in enumerate(parts)], name


def _read_splits(
    scan: _Scan, folders: Mapping[SplitName, Path], val_fraction: float, seed: int
) -> Layout:
    have = quoted(folder.name for folder in folders.values())
    for needed in ("train", "test"):
        if needed not in folders:
            raise UserError(
                f"‘{scan.root}’ has {have} but no ‘{needed}’ folder. Add ‘{needed}/class/*.jpg’, "
                "or put all photographs into ‘class/*.jpg’ to have them split for you."
            )
    names = [folder.name for folder in scan.folders(folders["train"])]
    labels = {name: label for label, name in enumerate(names)}
    notes = []
    splits: dict[SplitName, tuple[Entry, ...]] = {}
    for split, folder in folders.items():
        found: list[Entry] = []
        for inside in scan.folders(folder):
            if inside.name not in labels:
                raise UserError(
                    f"The class ‘{inside.name}’ is in ‘{folder.name}’ but not in ‘train’. Add "
                    f"‘train/{inside.name}’, or remove it from ‘{folder.name}’."
                )
            found += scan.photos(inside, labels[inside.name])
        splits[split] = tuple(found)
    _require_classes(scan, names, splits["train"], folders["train"])
    if "val" not in splits:
        require_photographs(
            names, splits["train"], 2, "training and validation (there is no ‘val’ folder)"
        )
        splits["train"], splits["val"] = hold_out(splits["train"], val_fraction, seed, "val")
        notes.append(
            f"There is no ‘val’ folder: {len(splits['val'])} training photographs are held out "
            "for validation."
        )
    for split in ("val", "test"):
        if not splits[split]:
            raise UserError(
                f"The class folders of ‘{folders[split]}’ hold no photographs. {_EXPECTED}"
            )
        absent = len(names) - len({photo.label for photo in splits[split]})
        if absent:
            notes.append(f"{absent} of {len(names)} classes have no photograph in ‘{split}’.")
    return _layout(scan, names, splits, notes)


def _read_classes(
    scan: _Scan, folders: list[Path], val_fraction: float, test_fraction: float, seed: int
) -> Layout:
    names = [folder.name for folder in folders]
    found: list[Entry] = []
    for label, folder in enumerate(folders):
        found += scan.photos(folder, label)
    _require_classes(scan, names, found, scan.root)
    splits, note = split_in_three(names, found, val_fraction, test_fraction, seed)
    return _layout(scan, names, splits, [note])


def _layout(
    scan: _Scan, names: list[str], splits: Mapping[SplitName, tuple[Entry, ...]], notes: list[str]
) -> Layout:
    ordered = {split: splits[split] for split in SPLITS}
    return Layout(tuple(names), ordered, tuple(scan.problems), dict(scan.ignored), tuple(notes))


def _require_classes(scan: _Scan, names: list[str], photos: Iterable[Entry], where: Path) -> None:
    """At least two classes, none of them empty; ``where`` holds the class folders."""
    if not names:
        raise UserError(f"‘{where}’ holds no class folders. {_EXPECTED}")
    filled = {photo.label for photo in photos}
    if not filled:
        others = ", ".join(f"{count} {suffix}" for suffix, count in scan.ignored.most_common(3))
        found = f" (found {others})" if others else ""
        inner = [folder for name in names for folder in scan.folders(where / name)]
        hint = f" Did you mean ‘{where / names[0]}’?" if len(names) == 1 and inner else ""
        raise UserError(
            f"The class folders of ‘{where}’ hold no photographs ({', '.join(SUFFIXES)}){found}. "
            f"{_EXPECTED}{hint}"
        )
    empty = [name for label, name in enumerate(names) if label not in filled]
    if empty:
        raise UserError(
            f"No photographs ({', '.join(SUFFIXES)}) in {quoted(empty)} of ‘{where}’. "
            "Add some, or remove the folder."
        )
    if len(names) == 1:
        raise UserError(
            f"‘{where}’ has only one class, ‘{names[0]}’. A classifier needs two or more."
        )


def require_fractions(val_fraction: float, test_fraction: float) -> None:
    """Raises ``UserError`` where nothing would be left for training, or nothing held out."""
    if min(val_fraction, test_fraction) <= 0 or val_fraction + test_fraction >= 1:
        raise UserError(
            f"Validation and test take {val_fraction} and {test_fraction} of the photographs; "
            "each must be above 0, and together they must leave some for training (below 1)."
        )


def split_in_three(
    names: list[str],
    photos: Iterable[Entry],
    val_fraction: float,
    test_fraction: float,
    seed: int,
) -> tuple[dict[SplitName, tuple[Entry, ...]], str]:
    """The splits of photographs that come in none, and a note that says so.

    Fractions are of all photographs. Raises ``UserError`` for a class of fewer than three.
    """
    photos = tuple(photos)
    require_photographs(names, photos, 3, "training, validation and test")
    rest, test = hold_out(photos, test_fraction, seed, "test", leave=2)
    train, val = hold_out(rest, val_fraction / (1 - test_fraction), seed, "val")
    note = (
        f"The photographs are split by a fixed seed ({seed}): {len(train)} for training, "
        f"{len(val)} for validation, {len(test)} for test."
    )
    return {"train": train, "val": val, "test": test}, note


def require_photographs(
    names: list[str], photos: Iterable[Entry], least: int, purpose: str
) -> None:
    """Raises ``UserError`` that names the classes of fewer than ``least`` photographs."""
    per_class = Counter(photo.label for photo in photos)
    short = [name for label, name in enumerate(names) if per_class[label] < least]
    if short:
        raise UserError(
            f"{quoted(short)}: fewer than {least} photographs, which {purpose} need. "
            "Add some, or remove the class."
        )


def quoted(names: Iterable[str], most: int = 5) -> str:
    """‘a’, ‘b’ and 3 more."""
    quoted = [f"‘{name}’" for name in names]
    if len(quoted) > most:
        return f"{', '.join(quoted[:most])} and {len(quoted) - most} more"
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
