"""Stored images that differ in shape: read from one flat array, whole or cut to their centre."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Index: TypeAlias = "slice | Sequence[int] | np.ndarray"


@dataclass(frozen=True)
class Packed:
    """A batch of whole images in one buffer, those of one shape side by side.

    pixels: uint8, flat. groups: number, height and width of the images of each shape, in the order
    of ``pixels``. order: ``(B,)``, the place in the batch of each of them; None for the same order.
    size: S of their views.
    """

    pixels: np.ndarray | Tensor
    groups: tuple[tuple[int, int, int], ...]
    order: np.ndarray | None
    size: int

    def __len__(self) -> int:
        return sum(count for count, _, _ in self.groups)


Images: TypeAlias = "np.ndarray | CentreCrops"
"""Read as ``(N, S, S, 3)`` uint8."""

Uncropped: TypeAlias = "np.ndarray | StoredImages"
"""What ``view_batch`` makes views of: ``uncropped[index]`` is a batch."""


def centre_square(image: np.ndarray, size: int) -> np.ndarray:
    """``(h, w, ...)`` → ``(size, size, ...)``, a view: what evaluation sees of a stored image."""
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


class StoredImages:
    """The images of a split as they are stored: ``(h, w, 3)`` uint8 each, h and w its own.

    ``stored[index]`` gives a batch of them, ``stored.image(number)`` one.
    """

    def __init__(self, pixels: np.ndarray, shapes: np.ndarray, size: int) -> None:
        """pixels: flat uint8, possibly memory-mapped. shapes: ``(N, 2)``, height and width.

        size: S, the side of the square that evaluation sees.
        """
        # Without numpy's own class of memory-mapped arrays, which is slow to slice.
        self._arrays: tuple[np.ndarray, ...] = (pixels.view(np.ndarray),)
        self.shapes, self.size = shapes, size
        self._ends = np.cumsum(self._lengths())
        self._array_of = np.zeros(len(shapes), np.int64)

    @classmethod
    def of(cls, images: np.ndarray) -> StoredImages:
        """Squares ``(N, S, S, 3)``, of which evaluation sees all; nothing is copied."""
        count, size = images.shape[:2]
        return cls(images.reshape(-1), np.full((count, 2), size, np.int32), size)

    def taken(self, numbers: np.ndarray) -> StoredImages:
        """The images ``numbers`` ``(n,)``, in this order; their pixels stay where they are."""
        found = copy(self)
        found.shapes, found._ends = self.shapes[numbers], self._ends[numbers]
        found._array_of = self._array_of[numbers]
        return found

    def followed_by(self, others: StoredImages) -> StoredImages:
        """These images and then the others, of the same size; pixels stay where they are."""
        if others.size != self.size:
            raise ValueError(f"images of {self.size} and of {others.size} pixels are not one size")
        found = copy(self)
        found._arrays = self._arrays + others._arrays
        found.shapes = np.concatenate([self.shapes, others.shapes])
        found._ends = np.concatenate([self._ends, others._ends])
        found._array_of = np.concatenate([self._array_of, others._array_of + len(self._arrays)])
        return found

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def nbytes(self) -> int:
        return int(self._lengths().sum())

    def image(self, number: int) -> np.ndarray:
        """``(h, w, 3)``, a view."""
        number = range(len(self))[number]
        height, width = self.shapes[number].tolist()
        end, pixels = int(self._ends[number]), self._arrays[self._array_of[number]]
        return pixels[end - 3 * height * width : end].reshape(height, width, 3)

    def _lengths(self) -> np.ndarray:
        """``(N,)``: bytes of every image."""
        lengths: np.ndarray = self.shapes.astype(np.int64).prod(axis=1) * 3
        return lengths

    def __getitem__(self, index: Index) -> Packed:
        numbers = np.arange(len(self))[index]
        shapes = self.shapes[numbers]
        order = np.lexsort((shapes[:, 1], shapes[:, 0]))
        kinds, counts = np.unique(shapes, axis=0, return_counts=True)  # in the same order
        pixels = np.empty(int(shapes.astype(np.int64).prod(axis=1).sum()) * 3, np.uint8)
        start = 0
        for number in numbers[order].tolist():
            image = self.image(number)
            pixels[start : start + image.size] = image.reshape(-1)
            start += image.size
        groups = tuple(
            (count, *kind) for count, kind in zip(counts.tolist(), kinds.tolist(), strict=True)
        )
        return Packed(pixels, groups, None if len(groups) == 1 else order, self.size)

    def centres(self) -> CentreCrops:
        """What evaluation sees of these images."""
        return CentreCrops(self)


class CentreCrops:
    """The centres of stored images, cut out on access.

    Read like an array ``(N, S, S, 3)`` uint8: by a number, a slice or an array of numbers.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, stored: StoredImages) -> None:
        self._stored = stored
        self.shape = (len(stored), stored.size, stored.size, 3)

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, index: int | np.integer[Any] | Index) -> np.ndarray:
        size = self._stored.size
        if isinstance(index, int | np.integer):
            return centre_square(self._stored.image(int(index)), size)
        numbers = np.arange(len(self))[index].tolist()
        found = np.empty((len(numbers), *self.shape[1:]), np.uint8)
        for place, number in enumerate(numbers):
            found[place] = centre_square(self._stored.image(number), size)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)
