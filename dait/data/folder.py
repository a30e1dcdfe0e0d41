"""A folder of your own photographs as a data set."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import __version__ as pillow_version

from dait.data.base import SPLITS, ClassInfo, Problem, Split, SplitName
from dait.data.decode import DECODER_VERSION, BadImage, decode_image
from dait.data.layout import Layout, Photo, read_layout
from dait.data.store import cache_dir, load_or_build
from dait.errors import UserError
from dait.events import Emit, Progress, ignore

_CSV_LIMIT = 4 * 2**20  # bytes of classes.csv
_SIZES = (16, 1024)


class FolderDataset:
    """A ``Dataset`` (see ``dait.data.base``) read from a folder; made by ``open_folder``.

    Beyond the contract: ``notes`` (sentences on choices made while reading the folder), ``ignored``
    (suffix → number of files that are no photographs), ``check()``. ``problems`` lists what the
    listing found and, for every split decoded so far, the files that could not be decoded.

    ``fingerprint`` hashes names, lengths and modification times rather than contents: opening a
    folder of gigabytes stays instant, and copies that keep the times keep the fingerprint. It also
    covers the classes, the split, the size, and the versions of the decoder and of Pillow.
    """

    part_names: tuple[str, ...] = ()
    homepage = ""

    def __init__(self, root: Path, size: int, layout: Layout, emit: Emit = ignore) -> None:
        self.root = root
        self.name = root.name or str(root)
        self.size = size
        self.classes, unknown = _class_infos(root, layout.classes)
        self.licence = _licence(root)
        self.problems = self._listed = layout.problems
        self.notes = layout.notes + unknown
        self.ignored = dict(layout.ignored)
        self.fingerprint = _digest([_facts(layout), size, [repr(info) for info in self.classes]])
        self._photos = layout.splits
        self._emit = emit
        self._splits: dict[SplitName, Split] = {}
        self._bad: dict[SplitName, tuple[Problem, ...]] = {}
        self._lock = threading.Lock()

    def counts(self) -> dict[SplitName, int]:
        """Images per split: as listed, less the bad files of the splits decoded so far."""
        return {name: len(self._splits.get(name, photos)) for name, photos in self._photos.items()}

    def split(self, name: SplitName) -> Split:
        """Decodes the split on first use and keeps it in the cache folder.

        Bad files are left out and listed in ``problems``. Raises ``UserError`` where the split, or
        a class of the training split, has no readable file left.
        """
        if name not in SPLITS:
            raise UserError(f"There is no split ‘{name}’. Use one of: {', '.join(SPLITS)}.")
        with self._lock:
            if name not in self._splits:
                self._splits[name] = self._load(name)
            return self._splits[name]

    def check(self) -> tuple[Problem, ...]:
        """Decodes every split and returns all problems."""
        for name in SPLITS:
            self.split(name)
        return self.problems

    def _load(self, name: SplitName) -> Split:
        photos = self._photos[name]
        facts = [str(self.root.resolve()), [photo.id for photo in photos], self.size]
        key = f"folder-{name}-{self.size}-{_digest([facts, _stamps(photos), *_versions()])}"
        arrays = load_or_build(cache_dir(), key, lambda: self._decode(name, photos))
        kept = [photos[index] for index in arrays["good"]]
        bad = [photos[index] for index in arrays["bad"]]
        problems = tuple(
            Problem(photo.id, str(reason))
            for photo, reason in zip(bad, arrays["reasons"], strict=True)
        )
        self._bad[name] = problems
        self.problems = self._listed + tuple(
            chain(*(self._bad[s] for s in SPLITS if s in self._bad))
        )
        self._require_usable(name, kept, problems)
        labels = np.array([photo.label for photo in kept], dtype=np.int64)
        slices = {}
        if any(info.group for info in self.classes):
            groups = np.array([info.group or "(none)" for info in self.classes])
            slices["coarse"] = groups[labels]
        ids = tuple(photo.id for photo in kept)
        return Split(name, arrays["images"], labels, ids, slices=slices)

    def _decode(self, name: SplitName, photos: tuple[Photo, ...]) -> dict[str, np.ndarray]:
        images = np.empty((len(photos), self.size, self.size, 3), dtype=np.uint8)

        def decode(index: int) -> str | None:
            path = self.root / photos[index].id
            if not path.is_file():
                raise UserError(
                    f"‘{path}’ was there when the folder was opened and is gone now. "
                    "Open the folder again."
                )
            try:
                images[index] = decode_image(path, self.size)
            except BadImage as error:
                return error.reason
            return None

        reasons: list[str | None] = []
        step = max(1, len(photos) // 100)
        # Pillow decodes without holding the interpreter's lock, so threads use every core.
        pool = ThreadPoolExecutor(max_workers=_cores())
        try:
            for reason in pool.map(decode, range(len(photos))):
                reasons.append(reason)
                if len(reasons) % step == 0 or len(reasons) == len(photos):
                    what = f"Decoding the {name} photographs"
                    self._emit(Progress(what, len(reasons), len(photos)))
        finally:
            pool.shutdown(cancel_futures=True)  # at once, when the listener asks to stop
        bad = [index for index, reason in enumerate(reasons) if reason is not None]
        good = [index for index, reason in enumerate(reasons) if reason is None]
        return {
            "images": images[good] if bad else images,
            "good": np.array(good, dtype=np.int64),
            "bad": np.array(bad, dtype=np.int64),
            "reasons": np.array([reason for reason in reasons if reason is not None], dtype=str),
        }

    def _require_usable(
        self, name: SplitName, kept: list[Photo], problems: tuple[Problem, ...]
    ) -> None:
        if not kept:
            raise UserError(
                f"None of the {len(problems)} {name} photographs can be read; the first, "
                f"‘{problems[0].file}’, {problems[0].reason}."
            )
        missing = sorted(set(range(len(self.classes))) - {photo.label for photo in kept})
        if name == "train" and missing:
            reasons = {problem.file: problem.reason for problem in problems}
            first = next(photo for photo in self._photos[name] if photo.label == missing[0])
            raise UserError(
                f"No training photograph of ‘{self.classes[missing[0]].key}’ can be read; the "
                f"first, ‘{first.id}’, {reasons[first.id]}. Repair the files or remove the class."
            )


def open_folder(
    path: str | Path,
    size: int,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    emit: Emit = ignore,
) -> FolderDataset:
    """A folder ``split/class/*`` or ``class/*`` of photographs, at ``size`` × ``size`` pixels.

    A missing validation split is held out of the training split; ``class/*`` is split into three,
    stratified by class, by ``split_seed``. A ``classes.csv`` in the folder with the columns
    ``class``, ``coarse`` and ``description`` (the last two may be missing; rows of one class add
    up) gives groups and descriptions. Nothing is decoded yet.

    emit: hears ``Progress`` while a split is decoded.
    Raises ``UserError`` for a path, layout or class that cannot be used.
    """
    low, high = _SIZES
    if not low <= size <= high:
        raise UserError(f"Images are {low} to {high} pixels a side, not {size}. Change the size.")
    root = Path(path).expanduser()
    return FolderDataset(
        root, size, read_layout(root, val_fraction, test_fraction, split_seed), emit
    )


def _class_infos(
    root: Path, keys: tuple[str, ...]
) -> tuple[tuple[ClassInfo, ...], tuple[str, ...]]:
    """The classes, with what ``classes.csv`` says of them, and notes on rows that fit none."""
    groups: dict[str, str] = {}
    sentences: dict[str, list[str]] = {key: [] for key in keys}
    unknown: list[str] = []
    for row in _read_csv(root):
        key = (row.get("class") or "").strip()
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


def _licence(root: Path) -> str:
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


def _facts(layout: Layout) -> list[Any]:
    splits = {name: [(p.id, p.label) for p in photos] for name, photos in layout.splits.items()}
    stamps = {name: _stamps(photos) for name, photos in layout.splits.items()}
    return [splits, stamps, *_versions()]


def _stamps(photos: Iterable[Photo]) -> list[tuple[int, int]]:
    return [(photo.size, photo.modified) for photo in photos]


def _versions() -> tuple[int, str]:
    return DECODER_VERSION, pillow_version


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(8, len(os.sched_getaffinity(0)))
    return min(8, os.cpu_count() or 1)
