"""A listing of image files as a data set: decoded on first use, and kept in the cache."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import __version__ as pillow_version

from dait.data.base import ALL_SPLITS, Problem, Split, SplitName, no_images
from dait.data.folders.listing import ImageEntry, Listing
from dait.data.images.decode import DECODER_VERSION, BadImage, decode_framed, decode_mask
from dait.data.images.frame import Framing
from dait.data.stored import StoredImages
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.storage.cache import cache_dir, entry_path, load_entry
from dait.storage.rows import Column, Row, Rows, load_or_build_rows

SIZES = (16, 1024)
"""Least and greatest side of the images that networks see, in pixels."""


class ImageFileDataset:
    """A ``Dataset`` (see ``dait.data.base``) made of image files.

    Beyond the contract: ``listing``, ``ignored`` (suffix → number of files that are no
    photographs), ``left_out`` (images that exist but are not used), ``check()``, ``file_sizes()``,
    ``file_bits()``. ``problems`` lists what the listing found and, for every split decoded so far,
    the files that could not be decoded and the masks that could not be used. Masks are 1 on the
    object, and all zero where a file's mask is missing or unusable; boxes are clipped to the
    square that evaluation sees, and NaN where nothing of the object is in it.

    ``fingerprint`` hashes names, lengths and modification times rather than contents: opening a
    folder of gigabytes stays instant, and copies that keep the times keep the fingerprint. It also
    covers the classes, the split, the framing, and the versions of the decoder and of Pillow.
    """

    def __init__(self, listing: Listing, framing: Framing | int, emit: Emit = ignore) -> None:
        """framing: a number is the centre square, of so many pixels a side. emit: hears
        ``Progress`` of the decoding.

        Raises ``UserError`` for a size that is not offered.
        """
        self.framing = Framing(framing) if isinstance(framing, int) else framing
        low, high = SIZES
        size = self.framing.size
        if not low <= size <= high:
            raise UserError(f"Images are {low} to {high} pixels a side, not {size}. Change it.")
        self.listing = listing
        self.name = listing.name
        self.size = size
        self.classes = listing.classes
        self.licence = listing.licence
        self.homepage = listing.homepage
        self.notes = listing.notes
        self.left_out = listing.left_out
        self.problems = listing.problems
        self.revision = listing.revision
        self.ignored = dict(listing.ignored)
        has_masks = any(entry.mask for entries in listing.splits.values() for entry in entries)
        self.part_names: tuple[str, ...] = ("object",) if has_masks else ()
        self._emit = emit
        self._splits: dict[SplitName, Split] = {}
        self._sizes: dict[SplitName, np.ndarray] = {}
        self._bits: dict[SplitName, np.ndarray] = {}
        self._bad: dict[SplitName, tuple[Problem, ...]] = {}
        self._lock = threading.Lock()

    @property
    def reader(self) -> dict[str, str]:
        """What reads the files, by name: its versions are part of the fingerprint."""
        return {"decoder": str(DECODER_VERSION), "pillow": pillow_version}

    @cached_property
    def fingerprint(self) -> str:
        return self.fingerprint_read_by(self.reader)

    def fingerprint_read_by(self, reader: Mapping[str, str]) -> str:
        """The fingerprint that these files have where other versions read them."""
        splits = self.listing.splits
        facts = [*_facts_of(self.framing, reader), *(str(asdict(info)) for info in self.classes)]
        return _digest(chain(facts, *(_facts(self.listing, name, True) for name in splits)))

    def counts(self) -> dict[SplitName, int]:
        """Images per split: as listed, less the bad files of the splits decoded so far.

        Those that an earlier opening of the data decoded are still in the cache.
        """
        return {name: self._count(name) for name in self._listed}

    def listed_labels(self, name: SplitName) -> np.ndarray:
        """``(N,)`` int64: the labels of a split as listed, or as decoded if it has been."""
        if name in self._splits:
            return self._splits[name].labels
        return np.array([entry.label for entry in self.listing.splits[name]], dtype=np.int64)

    def split(self, name: SplitName) -> Split:
        """Decodes the split on first use and keeps it in the cache folder.

        Bad files are left out and listed in ``problems``. Raises ``UserError`` where the split, or
        a class of the training split, has no readable file left, and where the disk is full.
        """
        if name not in ALL_SPLITS:
            raise UserError(f"There is no split ‘{name}’. Use one of: {', '.join(ALL_SPLITS)}.")
        if name == "unlabelled" and name not in self._listed:
            return no_images(self.size)
        with self._lock:
            if name not in self._splits:
                self._splits[name] = self._load(name)
            return self._splits[name]

    def file_sizes(self, name: SplitName) -> np.ndarray:
        """``(N, 2)`` int32: width and height of the split's files, upright, in pixels."""
        self.split(name)
        return self._sizes[name]

    def file_bits(self, name: SplitName) -> np.ndarray:
        """``(N,)`` uint8: bits of a deep file (``images.depth``), 0 for one of 8 a channel."""
        self.split(name)
        return self._bits[name]

    def check(self) -> tuple[Problem, ...]:
        """Decodes every split and returns all problems."""
        for name in self._listed:
            self.split(name)
        return self.problems

    @property
    def _listed(self) -> tuple[SplitName, ...]:
        """The splits that there are."""
        return tuple(name for name in ALL_SPLITS if name in self.listing.splits)

    def _count(self, name: SplitName) -> int:
        if name in self._splits:
            return len(self._splits[name])
        entries = self.listing.splits[name]
        decoded = load_entry(entry_path(cache_dir(), self._key(name, self._columns(entries))))
        return len(entries) if decoded is None else len(decoded["_kept"])

    def _load(self, name: SplitName) -> Split:
        entries = self.listing.splits[name]
        rows = self._rows(name, entries)
        problems = tuple(Problem(entries[at].id, text) for at, text in rows.remarks.items())
        self._bad[name] = problems
        self.problems = self.listing.problems + tuple(
            chain(*(self._bad[split] for split in ALL_SPLITS if split in self._bad))
        )
        labels = np.array([entry.label for entry in entries], dtype=np.int64)[rows.kept]
        self._require_usable(name, labels, rows)
        self._sizes[name] = rows.columns["file_size"]
        self._bits[name] = rows.columns["bits"]
        slices = {}
        if name != "unlabelled" and any(info.group for info in self.classes):
            groups = np.array([info.group or "(none)" for info in self.classes])
            slices["coarse"] = groups[labels]
        ids = tuple(entries[at].id for at in rows.kept.tolist())
        masks, boxes = rows.columns.get("mask"), rows.columns.get("box")
        stored = self._stored(rows)
        images = rows.columns["image"] if stored is None else stored.centres()
        return Split(name, images, labels, ids, masks, slices, boxes, stored)

    def _stored(self, rows: Rows) -> StoredImages | None:
        """The whole images; None where nothing is cut off them."""
        pixels = rows.columns["image"]
        if self._ragged:
            return StoredImages(pixels, rows.columns["image_shape"], self.size)
        if pixels.shape[1] == self.size:
            return None
        shapes = np.full((len(pixels), 2), pixels.shape[1], dtype=np.int32)
        return StoredImages(pixels.reshape(-1), shapes, self.size)

    @property
    def _ragged(self) -> bool:
        """Whether stored images differ in shape."""
        return self.framing.fit == "crop"

    def _rows(self, name: SplitName, entries: tuple[ImageEntry, ...]) -> Rows:
        columns = self._columns(entries)
        return load_or_build_rows(
            cache_dir(),
            self._key(name, columns),
            len(entries),
            columns,
            lambda at: self._row(entries[at], columns),
            f"Decoding the {name} photographs",
            self._emit,
        )

    def _key(self, name: SplitName, columns: Iterable[str]) -> str:
        """What the decoded split is called in the cache folder."""
        facts = [*_facts_of(self.framing, self.reader), *columns]
        digest = _digest(chain(facts, _facts(self.listing, name, False)))
        return f"listed-{name}-{self.size}-{digest}"

    def _columns(self, entries: tuple[ImageEntry, ...]) -> dict[str, Column]:
        side = self.framing.short_side
        if self._ragged:
            columns = {
                "image": Column((3 * math.prod(self.framing.typical_shape),), ragged=True),
                "image_shape": Column((2,), "int32"),
            }
        else:
            columns = {"image": Column((side, side, 3))}
        columns["file_size"] = Column((2,), "int32")
        columns["bits"] = Column((), "uint8")
        if any(entry.mask for entry in entries):
            columns["mask"] = Column((self.size, self.size))
        if any(entry.box for entry in entries):
            columns["box"] = Column((4,), "float32")
        return columns

    def _row(self, entry: ImageEntry, columns: Iterable[str]) -> Row:
        if not entry.file.is_file():
            raise UserError(
                f"‘{entry.file}’ was there when ‘{self.name}’ was opened and is gone now. "
                "Open it again."
            )
        try:
            image, frame = decode_framed(entry.file, self.framing, trim=entry.trim)
        except BadImage as error:
            return Row(None, error.reason)
        values, remark = {"image": image}, ""
        if self._ragged:
            values["image"] = image.reshape(-1)
            values["image_shape"] = np.array(image.shape[:2], dtype=np.int32)
        values["file_size"] = np.array(frame.upright, dtype=np.int32)
        values["bits"] = np.array(frame.bits, dtype=np.uint8)
        if "box" in columns:
            nowhere = np.full(4, np.nan, np.float32)
            values["box"] = frame.place_box(entry.box) if entry.box else nowhere
        if "mask" in columns:
            values["mask"] = np.zeros((self.size, self.size), np.uint8)
            if entry.mask:
                try:
                    values["mask"] = decode_mask(entry.mask, frame, self.listing.mask_values)
                except BadImage as error:
                    remark = f"has no usable mask: {str(error).rstrip('.')}"
        return Row(values, remark)

    def _require_usable(self, name: SplitName, labels: np.ndarray, rows: Rows) -> None:
        entries = self.listing.splits[name]
        if not entries:
            raise UserError(f"‘{self.name}’ lists no {name} photographs. Add some.")
        if not len(labels):
            first = self._bad[name][0]
            raise UserError(
                f"None of the {len(entries)} {name} photographs can be read; the first, "
                f"‘{first.file}’, {first.reason}."
            )
        missing = sorted(set(range(len(self.classes))) - set(labels.tolist()))
        if name == "train" and missing:
            key = self.classes[missing[0]].key
            at = next((i for i, entry in enumerate(entries) if entry.label == missing[0]), None)
            if at is None:
                raise UserError(f"No training photograph of ‘{key}’ is listed. Add some.")
            raise UserError(
                f"No training photograph of ‘{key}’ can be read; the first, ‘{entries[at].id}’, "
                f"{rows.remarks[at]}. Repair the files or remove the class."
            )


def _facts(listing: Listing, name: SplitName, labels: bool) -> Iterable[str]:
    """What a split's images depend on, an entry a line; with the labels, or with the places."""
    yield f"{name} {listing.mask_values}"
    for entry in listing.splits[name]:
        where = entry.label if labels else entry.file
        what = f"{entry.size} {entry.modified} {entry.box} {entry.trim}"
        yield f"{entry.id}\0{where}\0{what}\0{_stamp(entry.mask)}"


def _stamp(mask: Path | None) -> tuple[int, int] | None:
    if mask is None:
        return None
    try:
        about = mask.stat()
    except OSError:  # decoding it will tell
        return 0, 0
    return about.st_size, about.st_mtime_ns


def _facts_of(framing: Framing, reader: Mapping[str, str]) -> list[str]:
    facts = [str(framing.size), reader["decoder"], reader["pillow"]]
    if framing != Framing(framing.size):  # which has the names that it always had
        facts.append(f"{framing.fit} {framing.short_side}")
    return facts


def _digest(facts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(fact.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:20]
