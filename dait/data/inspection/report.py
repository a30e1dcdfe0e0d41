"""A report on a data set before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dait.data.base import ALL_SPLITS, SPLITS, Dataset, Problem, Split, SplitName
from dait.data.folders.dataset import ImageFileDataset
from dait.data.folders.listing import LeftOut
from dait.data.inspection.duplicates import (
    ImageHashes,
    Leak,
    copies_within,
    find_leaks,
    hash_images,
)
from dait.data.pool import has_unlabelled
from dait.events import Emit, Progress, ignore

__all__ = ["ClassCount", "DataReport", "Leak", "SizeRange", "report"]

_FEW = 10  # training images of a class
_DARK = 31  # of 255: brightest value of an image that is nearly black
_FLAT = 4  # of 255: most difference within a channel of an image of one colour
_UNEVEN = 10  # times as many in the largest class as in the smallest


@dataclass(frozen=True)
class ClassCount:
    """How many usable images of a class each split has."""

    key: str
    name: str
    group: str | None
    train: int
    val: int
    test: int


@dataclass(frozen=True)
class SizeRange:
    """Width and height in pixels of the files, upright: least, median and greatest by area.

    upscaled: how many are smaller than what is stored of them, margin included, and so enlarged.
    """

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    upscaled: int


_WORDS: dict[SplitName, str] = {
    "train": "training",
    "val": "validation",
    "test": "test",
    "unlabelled": "unlabelled",
}


@dataclass(frozen=True)
class DataReport:
    """Classes, counts, files left out, leaks between splits, and sentences on what is amiss.

    sizes: None where images are drawn rather than read. warnings: whole sentences, the weightiest
    first. notes: what the data set says of itself (how it was split). ignored: suffix to number of
    files that are no photographs. left_out: images that exist but are not used.
    """

    name: str
    size: int
    licence: str
    homepage: str
    classes: tuple[ClassCount, ...]
    counts: dict[SplitName, int]
    bad: tuple[Problem, ...]
    leaks: tuple[Leak, ...]
    sizes: SizeRange | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Numbers under ``classes``, ``leaks`` and the names of the splits, and the lists."""
        return {
            "name": self.name,
            "size": self.size,
            "licence": self.licence,
            "homepage": self.homepage,
            "classes": len(self.classes),
            **{str(name): self.counts.get(name, 0) for name in ALL_SPLITS},
            "bad": [vars(problem) for problem in self.bad],
            "leaks": len(self.leaks),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "ignored": dict(self.ignored),
            "left_out": [vars(left) for left in self.left_out],
            "per_class": [vars(count) for count in self.classes],
            "leaked": [vars(leak) for leak in self.leaks],
            "sizes": vars(self.sizes) if self.sizes else None,
        }


def report(dataset: Dataset, emit: Emit = ignore) -> DataReport:
    """Decodes or draws every split, counts, and compares the splits with each other.

    A leak is an image that is evaluated and is, or nearly is, in a split before it or among the
    unlabelled images: each is listed once. Memory does not grow with the images: some 300 bytes of
    each are kept.

    emit: hears ``Progress`` of the comparing (of the decoding, whoever opened the data set).
    Raises ``UserError`` where a split has nothing usable.
    """
    names: tuple[SplitName, ...] = ALL_SPLITS if has_unlabelled(dataset) else SPLITS
    splits = {name: dataset.split(name) for name in names}
    hashes = _hash_splits(splits, emit)
    leaks = find_leaks(splits, hashes)
    classes = _class_counts(dataset, splits)
    sizes = _sizes(dataset, names)
    return DataReport(
        name=dataset.name,
        size=dataset.size,
        licence=dataset.licence,
        homepage=dataset.homepage,
        classes=classes,
        counts=dataset.counts(),
        bad=dataset.problems,
        leaks=leaks,
        sizes=sizes,
        warnings=(
            *_about_leaks(splits, leaks),
            *_about_copies(hashes),
            *_about_files(dataset, sizes),
            *_about_brightness(dataset, splits, hashes),
            *_about_classes(classes),
        ),
        notes=dataset.notes,
        ignored=dataset.ignored if isinstance(dataset, ImageFileDataset) else {},
        left_out=_left_out(dataset),
    )


def _hash_splits(splits: dict[SplitName, Split], emit: Emit) -> dict[SplitName, ImageHashes]:
    total = sum(len(split) for split in splits.values())
    step, before, found = max(1, total // 100), 0, {}

    def report_progress(done: int) -> None:
        if (before + done) % step == 0 or before + done == total:
            emit(Progress("Comparing the splits", before + done, total))

    for name, split in splits.items():
        found[name] = hash_images(split.images, report_progress)
        before += len(split)
    return found


def _class_counts(dataset: Dataset, splits: dict[SplitName, Split]) -> tuple[ClassCount, ...]:
    among = len(dataset.classes)
    counts = [np.bincount(splits[name].labels, minlength=among).tolist() for name in SPLITS]
    return tuple(
        ClassCount(info.key, info.name, info.group, *row)
        for info, *row in zip(dataset.classes, *counts, strict=True)
    )


def _sizes(dataset: Dataset, names: tuple[SplitName, ...]) -> SizeRange | None:
    if not isinstance(dataset, ImageFileDataset):
        return None
    sizes = np.concatenate([dataset.file_sizes(name) for name in names])
    order = np.argsort(sizes.prod(axis=1, dtype=np.int64), kind="stable")
    least, middle, most = (tuple(sizes[order[at]].tolist()) for at in (0, len(order) // 2, -1))
    side = sizes.max(axis=1) if dataset.framing.fit == "letterbox" else sizes.min(axis=1)
    upscaled = int((side < dataset.framing.short_side).sum())
    return SizeRange(least, middle, most, upscaled)


def _left_out(dataset: Dataset) -> tuple[LeftOut, ...]:
    return dataset.left_out if isinstance(dataset, ImageFileDataset) else ()


def _about_leaks(splits: dict[SplitName, Split], leaks: tuple[Leak, ...]) -> Iterator[str]:
    unlabelled = set(splits["unlabelled"].ids) if "unlabelled" in splits else set()
    for name in ("test", "val"):
        ids = set(splits[name].ids)
        for kind, are in (("same", "are also in"), ("near", "look nearly like images of")):
            of_kind = [leak for leak in leaks if leak.kind == kind and leak.second in ids]
            for free in (False, True):
                found = [leak for leak in of_kind if (leak.first in unlabelled) == free]
                if found:
                    others = "train or val" if name == "test" else "train"
                    others = "unlabelled" if free else others
                    whom = "every network that learns from these" if free else "every network"
                    first = found[0]
                    yield (
                        f"{len(found):,} of {len(ids):,} {name} images {are} {others}, which "
                        f"flatters {whom}; the first is ‘{first.second}’, like ‘{first.first}’."
                    )
    contrary = [leak for leak in leaks if leak.labels_differ]
    if contrary:
        first = contrary[0]
        yield (
            f"{len(contrary):,} of these pairs are in different classes, so one of the two labels "
            f"is wrong or both are right; the first is ‘{first.second}’ and ‘{first.first}’."
        )


def _about_copies(hashes: dict[SplitName, ImageHashes]) -> Iterator[str]:
    for name, found in hashes.items():
        copies = copies_within(found)
        if copies:
            some = "image is a copy of another" if copies == 1 else "images are copies of others"
            yield f"{copies:,} {_WORDS[name]} {some} in the same split."


def _about_files(dataset: Dataset, sizes: SizeRange | None) -> Iterator[str]:
    yield from map(str, _left_out(dataset))
    problems = dataset.problems
    if problems:
        first = problems[0]
        yield (
            f"{len(problems):,} files cannot be used or only in part; the first, ‘{first.file}’, "
            f"{first.reason}."
        )
    if sizes and sizes.upscaled and isinstance(dataset, ImageFileDataset):
        side = dataset.framing.short_side
        margin = f" ({dataset.size} and the margin)" if side > dataset.size else ""
        yield (
            f"{sizes.upscaled:,} images are smaller than {side} pixels{margin} and are enlarged; "
            f"the smallest is {sizes.smallest[0]} × {sizes.smallest[1]}."
        )


def _about_brightness(
    dataset: Dataset, splits: dict[SplitName, Split], hashes: dict[SplitName, ImageHashes]
) -> Iterator[str]:
    if isinstance(dataset, ImageFileDataset):
        bits = np.concatenate([dataset.file_bits(name) for name in splits])
        found = np.unique(bits[(bits > 0) & (bits < 16)]).tolist()
        if found:
            yield (
                f"{int(np.isin(bits, found).sum()):,} images are in 16-bit files whose values "
                f"have {', '.join(map(str, found))} bits only, as they say or by their largest "
                "value. White is taken to be there, for each file apart."
            )
    for what, dull in (
        (f"nearly black (no value above {_DARK} of 255)", lambda one: one.brightest <= _DARK),
        ("of one colour", lambda one: (one.contrast <= _FLAT) & (one.brightest > _DARK)),
    ):
        found = [
            splits[name].ids[at] for name in splits for at in np.flatnonzero(dull(hashes[name]))
        ]
        if found:
            many = "1 image is" if len(found) == 1 else f"{len(found):,} images are"
            yield f"{many} {what}; the first is ‘{found[0]}’."


def _about_classes(classes: tuple[ClassCount, ...]) -> Iterator[str]:
    by_train = sorted(classes, key=lambda count: count.train)
    least, most = by_train[0], by_train[-1]
    few = sum(count.train < _FEW for count in classes)
    if few:
        yield (
            f"{few:,} of {len(classes):,} classes have fewer than {_FEW} training images; the "
            f"smallest, ‘{least.name}’, has {least.train}."
        )
    if least.train and most.train >= _UNEVEN * least.train:
        yield (
            f"The classes are uneven: ‘{most.name}’ has {most.train:,} training images, "
            f"‘{least.name}’ {least.train:,}. Look at the mean per class beside the accuracy."
        )
    evaluated: tuple[SplitName, ...] = ("val", "test")
    for split in evaluated:
        none = [count.name for count in classes if not getattr(count, split)]
        if none:
            yield (
                f"{len(none):,} of {len(classes):,} classes have no {_WORDS[split]} image, "
                f"the first ‘{none[0]}’: nothing is measured of them there."
            )
    names = Counter(count.name.casefold() for count in classes)
    shared = [name for name, times in names.items() if times > 1]
    if shared:
        yield (
            f"{len(shared):,} names stand for more than one class, the first ‘{shared[0]}’: a "
            "teacher that reads names cannot tell these classes apart."
        )
