"""What a folder of photographs holds: its classes and splits, found by name and by suffix.

Two layouts are read: ``split/class/*`` and ``class/*``, which is then split. Splits are ``train``,
``val`` and ``test``, or other common words for them (``dait.data.folders.names``). A folder
``unlabelled`` beside the splits or the classes holds images without labels, in it or anywhere below
it. Names are compared in Unicode's composed form (NFC). Nothing is decoded here, and no image is
passed over in silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dait.data.base import SPLITS, UNLABELLED, Problem, SplitName
from dait.data.folders.listing import ImageEntry, LeftOut, hold_out
from dait.data.folders.names import about_splits, natural_key, second_words, split_of, stable_ids
from dait.data.folders.scan import SUFFIXES, Folder, FolderScan
from dait.errors import UserError

__all__ = ["FolderLayout", "data_folder", "natural_key", "quoted", "read_layout"]

_EXPECTED = "Expected ‘split/class/*.jpg’ (train, val, test) or ‘class/*.jpg’."
_WRAPPINGS = 3  # folders around the photographs that are looked through

# Folders of a class whose images are made from its photographs.
_DERIVED = re.compile(
    "(mask|segmentation|annotation|label|ground_?truth|gt|thumb|thumbnail|depth|heatmap|overlay"
    "|preview|augmented)s?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FolderLayout:
    """The classes in natural order, the photographs of each split, and what was left aside.

    ignored: suffix to number of files that are no photographs (``.txt``, or ``(none)``).
    left_out: images that are in the folder and not used, by reason.
    notes: sentences on choices that were made (a held-out split, classes without a test photo).
    """

    classes: tuple[str, ...]
    splits: Mapping[SplitName, tuple[ImageEntry, ...]]
    problems: tuple[Problem, ...]
    ignored: Mapping[str, int]
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


def read_layout(
    root: Path, val_fraction: float = 0.1, test_fraction: float = 0.2, split_seed: int = 0
) -> FolderLayout:
    """Lists ``root``; raises ``UserError`` with a sentence for a folder that cannot be used.

    Images in folders below a class are the class's, unless that folder is called like another
    class, like a split or like something made from photographs (``masks``, ``thumbnails``).

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
    scan = FolderScan(root)
    scan.leave_out(scan.top.photos, "they are in no class folder")
    folders = _named_splits(scan)
    unlabelled, notes = _read_unlabelled(scan, folders.pop("unlabelled", None))
    if folders:
        layout = _read_splits(scan, folders, val_fraction, split_seed)
    else:
        layout = _read_classes(scan, val_fraction, test_fraction, split_seed)
    splits = dict(layout.splits)
    if unlabelled:
        splits["unlabelled"] = unlabelled
    return replace(layout, splits=splits, notes=(*layout.notes, *notes))


def data_folder(top: Folder) -> Folder | None:
    """The folder of splits or classes in a tree, which may lie in others; None if not just one."""
    level = [top]
    for _ in range(_WRAPPINGS + 1):
        found = [folder for folder in level if _is_readable(folder)]
        if found:
            return found[0] if len(found) == 1 else None
        level = [below for folder in level for below in folder.folders if below.total]
    return None


def _is_readable(folder: Folder) -> bool:
    if _split_folders(folder):
        return True
    filled = [below for below in _class_folders(folder) if below.total]
    return len(filled) > 1 and all(below.photos for below in filled)


def _split_folders(folder: Folder) -> list[Folder]:
    """The folders that are splits; none where ``train`` or ``test`` is a class of its own.

    A split holds class folders, a class holds photographs: ``train/0001.jpg`` beside ``bus/`` is
    the class of trains.
    """
    named = [below for below in folder.folders if split_of(below.name) in SPLITS]
    classes = any(below.photos for below in _class_folders(folder) if below not in named)
    nested = [below for below in named if below.folders and not (classes and below.photos)]
    return named if nested else []


def _class_folders(folder: Folder) -> list[Folder]:
    """The folders in a folder, but for those of images without labels."""
    return [below for below in folder.folders if split_of(below.name) != "unlabelled"]


def _named_splits(scan: FolderScan) -> dict[SplitName, Folder]:
    """The folder of each split; what lies beside them is left out.

    Beside ``class/*`` that of unlabelled images alone, if there is one.
    """
    folders = scan.top.folders
    if not _split_folders(scan.top):
        words = [folder.name for folder in folders]
        if words and all(split_of(word) for word in words):
            raise UserError(
                f"‘{scan.root}’ has {quoted(words)}, but no class folders in them. {_EXPECTED}"
            )
        folders = [folder for folder in folders if split_of(folder.name) == "unlabelled"]
    seconds = second_words(folder.name for folder in folders)
    found: dict[SplitName, Folder] = {}
    for folder in folders:
        split = split_of(folder.name)
        if split is None:
            scan.leave_out(
                folder.all_photos(),
                f"‘{folder.name}’ is no word for train, val, test or unlabelled",
            )
        elif folder.name in seconds:
            better = seconds[folder.name]
            scan.leave_out(
                folder.all_photos(),
                f"‘{folder.name}’ means the {split} split, which ‘{better}’ is already",
            )
        elif split in found:
            raise UserError(
                f"‘{scan.root}’ has both ‘{found[split].name}’ and ‘{folder.name}’, which mean "
                f"the same split ({split}). Keep one."
            )
        else:
            found[split] = folder
    return found


def _read_unlabelled(
    scan: FolderScan, folder: Folder | None
) -> tuple[tuple[ImageEntry, ...], list[str]]:
    """The images in a folder of images without labels and below it, and notes on them."""
    if folder is None:
        return (), []
    paths = list(folder.all_photos())
    found = [
        scan.entry(path, name, UNLABELLED)
        for path, name in zip(paths, stable_ids(paths), strict=True)
    ]
    entries = tuple(entry for entry in found if entry is not None)
    notes = about_splits([folder.name])
    notes.append(f"‘{folder.name}’ holds {len(entries):,} images without labels.")
    if folder.folders:
        notes.append(
            f"The names of the folders in ‘{folder.name}’ "
            f"({quoted(below.name for below in folder.folders)}) are not read as labels."
        )
    return entries, notes


def _read_splits(
    scan: FolderScan, folders: Mapping[SplitName, Folder], val_fraction: float, seed: int
) -> FolderLayout:
    have = quoted(folder.name for folder in folders.values())
    for needed in ("train", "test"):
        if needed not in folders:
            raise UserError(
                f"‘{scan.root}’ has {have} but no ‘{needed}’ folder. Add ‘{needed}/class/*.jpg’, "
                "or put all photographs into ‘class/*.jpg’ to have them split for you."
            )
    parts = {split: _by_name(folder.folders) for split, folder in folders.items()}
    names = list(parts["train"])
    notes = about_splits(folder.name for folder in folders.values())
    for split, folder in folders.items():
        scan.leave_out(
            folder.photos, f"they are in ‘{folder.name}’, but in none of its class folders"
        )
        for name in parts[split]:
            if name not in parts["train"]:
                raise UserError(
                    f"The class ‘{name}’ is in ‘{folder.name}’ but not in "
                    f"‘{folders['train'].name}’. Add ‘{folders['train'].name}/{name}’, or remove "
                    f"it from ‘{folder.name}’."
                )
    splits, more = _photographs(scan, parts, names)
    notes += more
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
                f"The class folders of ‘{scan.root / folders[split].path}’ hold no photographs. "
                f"{_EXPECTED}"
            )
        absent = len(names) - len({photo.label for photo in splits[split]})
        if absent:
            notes.append(f"{absent} of {len(names)} classes have no photograph in ‘{split}’.")
    return _layout(scan, names, splits, notes)


def _read_classes(
    scan: FolderScan, val_fraction: float, test_fraction: float, seed: int
) -> FolderLayout:
    parts = _by_name(_class_folders(scan.top))
    names = list(parts)
    found, notes = _photographs(scan, {"train": parts}, names)
    _require_classes(scan, names, found["train"], scan.top)
    splits, note = split_in_three(names, found["train"], val_fraction, test_fraction, seed)
    return _layout(scan, names, splits, [*notes, note])


def _by_name(folders: Iterable[Folder]) -> dict[str, list[Folder]]:
    """The class folders; those whose names differ only by their Unicode form are one class."""
    found: dict[str, list[Folder]] = {}
    for folder in folders:
        found.setdefault(folder.name, []).append(folder)
    return found


def _photographs(
    scan: FolderScan, parts: Mapping[SplitName, Mapping[str, list[Folder]]], names: Collection[str]
) -> tuple[dict[SplitName, tuple[ImageEntry, ...]], list[str]]:
    """The photographs of every split, labelled, and notes on where they were found."""
    all_parts = [
        (split, name, folder)
        for split, classes in parts.items()
        for name, folders in classes.items()
        for folder in folders
    ]
    filled = {name for _, name, folder in all_parts if folder.photos}
    _require_shallow(scan, [folder for _, name, folder in all_parts if name not in filled])
    labels = {name: label for label, name in enumerate(names)}
    found: list[tuple[SplitName, int, str]] = []
    deep: list[str] = []
    for split, name, folder in all_parts:
        below = _below(scan, folder, name, labels)
        deep += below
        found += ((split, labels[name], path) for path in (*folder.photos, *below))
    splits: dict[SplitName, list[ImageEntry]] = {split: [] for split in parts}
    ids = stable_ids([path for _, _, path in found])
    for (split, label, path), photo_id in zip(found, ids, strict=True):
        entry = scan.entry(path, photo_id, label)
        if entry is not None:
            splits[split].append(entry)
    return {split: tuple(entries) for split, entries in splits.items()}, _about_folders(
        all_parts, deep
    )


def _about_folders(parts: Iterable[tuple[str, str, Folder]], deep: list[str]) -> list[str]:
    notes = []
    if deep:
        notes.append(
            f"{len(deep):,} photographs are in folders below their class, the first "
            f"‘{deep[0]}’; they count as of that class."
        )
    written: dict[str, set[str]] = {}
    for _, name, folder in parts:
        written.setdefault(name, set()).add(Path(folder.path).name)
    several = [name for name, forms in written.items() if len(forms) > 1]
    if several:
        notes.append(
            f"{quoted(several)}: written in two Unicode forms, which look the same and are read "
            "as one name."
        )
    return notes


def _below(scan: FolderScan, folder: Folder, name: str, names: Collection[str]) -> list[str]:
    """The photographs in folders below a class that are the class's; the others are left out."""
    found: list[str] = []
    for below in folder.folders:
        if below.name in names and below.name != name:
            reason = "they are in a folder of one class that is called like another class"
        elif split_of(below.name):
            reason = "they are in ‘class/split’ folders; expected are ‘split/class’ folders"
        elif _DERIVED.fullmatch(below.name):
            reason = f"they are in folders called ‘{below.name}’, which hold no photographs"
        else:
            found += below.photos
            found += _below(scan, below, name, names)
            continue
        scan.leave_out(below.all_photos(), reason)
    return found


def _require_shallow(scan: FolderScan, without: Iterable[Folder]) -> None:
    """Raises ``UserError`` for class folders that have photographs in folders below alone."""
    for folder in without:
        first = next(folder.all_photos(), None)
        if first is None:
            continue
        raise UserError(
            f"‘{scan.root}’ has photographs two folders deep only (‘{first}’): either of the "
            f"two may be the class. {_EXPECTED} Or list them in a CSV file (path,label)."
            f"{_hint(scan)}"
        )


def _hint(scan: FolderScan) -> str:
    meant = data_folder(scan.top)
    return f" Did you mean ‘{scan.root / meant.path}’?" if meant and meant.path else ""


def _layout(
    scan: FolderScan,
    names: list[str],
    splits: Mapping[SplitName, tuple[ImageEntry, ...]],
    notes: list[str],
) -> FolderLayout:
    ordered = {split: splits[split] for split in SPLITS}
    problems, ignored = tuple(scan.problems), dict(scan.ignored)
    return FolderLayout(tuple(names), ordered, problems, ignored, tuple(notes), scan.left_out)


def _require_classes(
    scan: FolderScan, names: list[str], photos: Iterable[ImageEntry], where: Folder
) -> None:
    """At least two classes, none of them empty; ``where`` holds the class folders."""
    root = scan.root / where.path
    if not names:
        raise UserError(f"‘{root}’ holds no class folders. {_EXPECTED}{_hint(scan)}")
    filled = {photo.label for photo in photos}
    if not filled:
        others = (scan.unread + scan.ignored).most_common(3)
        found = ", ".join(f"{count} {suffix}" for suffix, count in others)
        raise UserError(
            f"The class folders of ‘{root}’ hold no photographs ({', '.join(SUFFIXES)})"
            f"{f' (found {found})' if found else ''}. {_EXPECTED}{_hint(scan)}"
        )
    empty = [name for label, name in enumerate(names) if label not in filled]
    if empty:
        raise UserError(
            f"No photographs ({', '.join(SUFFIXES)}) in {quoted(empty)} of ‘{root}’. "
            "Add some, or remove the folder."
        )
    if len(names) == 1:
        raise UserError(
            f"‘{root}’ has only one class, ‘{names[0]}’. A classifier needs two or more."
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
    photos: Iterable[ImageEntry],
    val_fraction: float,
    test_fraction: float,
    seed: int,
) -> tuple[dict[SplitName, tuple[ImageEntry, ...]], str]:
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
    names: list[str], photos: Iterable[ImageEntry], least: int, purpose: str
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
