"""A folder of your own photographs as a data set."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from dait.data.base import ClassInfo
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.layout import read_layout
from dait.data.folders.listing import Listing
from dait.data.folders.names import nfc
from dait.errors import UserError
from dait.events import Emit, ignore

_CSV_LIMIT = 4 * 2**20  # bytes of classes.csv


def list_folder(
    path: str | Path,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Listing:
    """What a folder ``split/class/*`` or ``class/*`` of photographs holds; nothing is decoded.

    A missing validation split is held out of the training split; ``class/*`` is split into three,
    stratified by class, by ``split_seed``. A ``classes.csv`` in the folder with the columns
    ``class``, ``coarse`` and ``description`` (the last two may be missing; rows of one class add
    up) gives groups and descriptions; the first line of a ``LICENSE`` names the licence.

    Raises ``UserError`` for a path, layout or class that cannot be used.
    """
    root = Path(path).expanduser()
    layout = read_layout(root, val_fraction, test_fraction, split_seed)
    classes, unknown = class_infos(root, layout.classes)
    return Listing(
        name=root.absolute().name or str(root),
        root=root,
        classes=classes,
        splits=layout.splits,
        licence=licence_of(root),
        problems=layout.problems,
        ignored=layout.ignored,
        notes=layout.notes + unknown,
        left_out=layout.left_out,
    )


def open_folder(
    path: str | Path,
    size: int,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    emit: Emit = ignore,
) -> ImageFileDataset:
    """``list_folder`` as a data set of ``size`` × ``size`` pixels; raises ``UserError`` as it does.

    emit: hears ``Progress`` while a split is decoded.
    """
    return ImageFileDataset(list_folder(path, val_fraction, test_fraction, split_seed), size, emit)


def class_infos(root: Path, keys: tuple[str, ...]) -> tuple[tuple[ClassInfo, ...], tuple[str, ...]]:
    """The classes, with what ``classes.csv`` says of them, and notes on rows that fit none."""
    groups: dict[str, str] = {}
    sentences: dict[str, list[str]] = {key: [] for key in keys}
    unknown: list[str] = []
    for row in _read_csv(root):
        key = nfc((row.get("class") or "").strip())
        if key not in sentences:
            unknown.append(key)
            continue
        if (row.get("coarse") or "").strip():
            groups[key] = row["coarse"].strip()
        if (row.get("description") or "").strip():
            sentences[key].append(row["description"].strip())
    infos = tuple(
        ClassInfo(key, _human(key), groups.get(key), tuple(sentences[key])) for key in keys
    )
    if not unknown:
        return infos, ()
    shown = ", ".join(f"‘{key}’" for key in unknown[:3])
    return infos, (f"classes.csv has {len(unknown)} rows for classes not in the folder: {shown}.",)


def _human(key: str) -> str:
    return " ".join(key.replace("-", " ").replace("_", " ").split()) or key


def _read_csv(root: Path) -> list[dict[str, Any]]:
    text = _text(root, "classes.csv", _CSV_LIMIT)
    if text is None:
        return []
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""))
        if "class" not in (rows.fieldnames or []):
            raise UserError(
                f"‘{root / 'classes.csv'}’ has no column ‘class’; it has "
                f"{', '.join(rows.fieldnames or []) or 'none'}. Its first line should read "
                "‘class,coarse,description’."
            )
        return list(rows)
    except csv.Error as error:
        raise UserError(f"‘{root / 'classes.csv'}’ is not a CSV file: {error}.") from error


def licence_of(root: Path) -> str:
    """The first line of a ``LICENSE`` in the folder, 80 characters at most."""
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt"):
        lines = (_text(root, name, 2**20) or "").strip().splitlines()
        if lines:
            return lines[0].strip("# ")[:80]
    return "unknown (your own folder)"


def _text(root: Path, name: str, limit: int) -> str | None:
    """The text of a file beside the classes; None where there is none inside the folder."""
    file = root / name
    if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
        return None
    if file.stat().st_size > limit:
        raise UserError(f"‘{file}’ is larger than {limit / 2**20:.0f} MiB.")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"‘{file}’ is not UTF-8 text. Save it as UTF-8.") from error
