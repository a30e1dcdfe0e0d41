"""Listings: the files, labels and splits of a data set before anything is decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dait.data.base import Box, ClassInfo, Problem, SplitName, Trim


@dataclass(frozen=True)
class ImageEntry:
    """One image file of a listing.

    id: its stable name within the data set, unique there (``test/Kiwi/Kiwi_001.jpg``).
    label: index into the listing's classes.
    size, modified: the file's bytes, and nanoseconds since 1970: they stand for its contents.
    box: of the object, where the data has one. mask: an image file of the same width and height.
    trim: cut off before anything else is done (FGVC-Aircraft's banner), of the mask too; ``box``
        counts in the whole image, so its left and top are less by ``trim``'s after that.
    """

    id: str
    label: int
    file: Path
    size: int
    modified: int
    box: Box | None = None
    mask: Path | None = None
    trim: Trim | None = None


@dataclass(frozen=True)
class LeftOut:
    """Images that exist but are not used: how many, the path of the first, and why."""

    count: int
    first: str
    reason: str

    def __str__(self) -> str:
        many = "1 image is" if self.count == 1 else f"{self.count:,} images are"
        return f"{many} not used, the first ‘{self.first}’: {self.reason}."


@dataclass(frozen=True)
class Listing:
    """The classes and splits of a data set of files; reading it is instant, nothing is decoded.

    root: the folder that messages name. mask_values: the grey values (of ``ImageEntry.mask``) that
    mean the object. ignored: suffix to number of files that are no photographs. left_out: images
    that exist but are not used. notes: sentences on choices that were made (a held-out split,
    classes without a test photograph). revision: the commit that was downloaded, of a data set of
    the hub.
    """

    name: str
    root: Path
    classes: tuple[ClassInfo, ...]
    splits: Mapping[SplitName, tuple[ImageEntry, ...]]
    licence: str
    homepage: str = ""
    problems: tuple[Problem, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    mask_values: tuple[int, ...] = ()
    revision: str = ""
    left_out: tuple[LeftOut, ...] = ()


def hold_out(
    entries: Iterable[ImageEntry], fraction: float, seed: int, purpose: str, leave: int = 1
) -> tuple[tuple[ImageEntry, ...], tuple[ImageEntry, ...]]:
    """``(kept, held out)``: of every class ``fraction``, at least one, and ``leave`` stay.

    Images of a class are ordered by a hash of seed, purpose and id, so adding one moves few others.
    """
    entries = tuple(entries)
    by_class: dict[int, list[ImageEntry]] = {}
    for entry in entries:
        by_class.setdefault(entry.label, []).append(entry)
    held: set[str] = set()
    for group in by_class.values():
        count = min(max(1, round(len(group) * fraction)), len(group) - leave)
        group.sort(
            key=lambda entry: hashlib.sha256(f"{seed}/{purpose}/{entry.id}".encode()).digest()
        )
        held.update(entry.id for entry in group[: max(count, 0)])
    return (
        tuple(entry for entry in entries if entry.id not in held),
        tuple(entry for entry in entries if entry.id in held),
    )
