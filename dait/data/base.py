"""The one shape that every data set has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from dait.data.stored import Images, StoredImages, Uncropped

SplitName = Literal["train", "val", "test", "unlabelled"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
"""The splits of labelled images, which every data set has."""
ALL_SPLITS: tuple[SplitName, ...] = (*SPLITS, "unlabelled")

UNLABELLED = -1
"""The label of an image that has none."""

# Here and not beside the views: a recipe is read by the app before torch is imported.
ViewKind = Literal["original", "light", "full", "paper"]
Fit = Literal["crop", "square", "letterbox"]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the image file, right and bottom exclusive."""

Trim = tuple[int, int, int, int]
"""Pixels to cut off at the left, top, right and bottom of the image file."""

CROP_PCT = 0.875
"""What evaluation sees of a photograph's shorter side: 224 of 256 pixels, as is usual."""


@dataclass(frozen=True)
class ClassInfo:
    """One class: its key (folder name), human name, coarse group, sentences that describe it."""

    key: str
    name: str
    group: str | None = None
    descriptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Split:
    """The images of one split, decoded, all of one size.

    images: ``(N, S, S, 3)`` uint8 RGB as evaluation sees them, possibly memory-mapped.
    labels: ``(N,)`` int64 indices into the data set's classes, ``UNLABELLED`` where an image has
        no label.
    ids: one stable name per image (``test/Kiwi/Kiwi_001.jpg``, ``test/0042``).
    masks: ``(N, S, S)`` uint8 part labels (0 background, k > 0 the part ``part_names[k - 1]``), or
        None where the data has no masks; ``masks > 0`` is the object.
    slices: names to ``(N,)`` string arrays that cut the split for evaluation (``habitat``).
    boxes: ``(N, 4)`` float32 left, top, right, bottom of the object in pixels of ``images``, NaN
        where an image has none; None where the data has no boxes.
    stored: the whole images that ``images`` are the centres of; None where there is no more.
    """

    name: SplitName
    images: Images
    labels: np.ndarray
    ids: tuple[str, ...]
    masks: np.ndarray | None = None
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: np.ndarray | None = None
    stored: StoredImages | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def uncropped(self) -> Uncropped:
        """What augmented views are cut from; ``uncropped[index]`` is a batch for ``view_batch``."""
        if self.stored is not None:
            return self.stored
        assert isinstance(self.images, np.ndarray)  # centres are of stored images
        return self.images


def no_images(size: int) -> Split:
    """The unlabelled split of a data set that has no unlabelled images."""
    images = np.empty((0, size, size, 3), np.uint8)
    return Split("unlabelled", images, np.empty(0, np.int64), ())


class Dataset(Protocol):
    """A classification data set with three splits, and perhaps unlabelled images besides.

    The split ``unlabelled`` holds images whose labels are all ``UNLABELLED``; it may be empty.
    ``fingerprint`` changes whenever any pixel or label could (data, size, seed, decoder version);
    ``split`` decodes or draws on first use and may be slow then, and is instant afterwards.
    """

    # Read-only, so that an attribute, a constant of the class or a property each satisfies it.
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def classes(self) -> tuple[ClassInfo, ...]: ...
    @property
    def part_names(self) -> tuple[str, ...]: ...
    @property
    def problems(self) -> tuple[Problem, ...]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def homepage(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def split(self, name: SplitName) -> Split:
        """The decoded split; raises ``UserError`` with a sentence when it cannot be had."""
        ...

    def counts(self) -> dict[SplitName, int]:
        """Images per split, without decoding any; ``unlabelled`` only where there are some."""
        ...
