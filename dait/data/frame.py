"""Where an image's pixels went while it became a square, so that boxes and masks can follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dait.data.listing import Box, Trim

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Frame:
    """The way from a stored image to its square: trimmed, turned upright, the centre cut out.

    width, height: of the stored image in pixels. orientation: EXIF's, 1 to 8 (1: as stored).
    """

    width: int
    height: int
    orientation: int = 1
    trim: Trim = (0, 0, 0, 0)

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after trimming and turning."""
        left, top, right, bottom = self.trim
        across, down = self.width - left - right, self.height - top - bottom
        return (down, across) if self.orientation >= 5 else (across, down)

    def square(self) -> tuple[float, float, float, float]:
        """The centre square in the upright image: left, top, right, bottom."""
        width, height = self.upright
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side

    def place_box(self, box: Box, size: int) -> np.ndarray:
        """``(4,)`` float32: a box of the stored image in pixels of the ``size`` × ``size`` square.

        Clipped to the square; NaN where nothing of it is inside.
        """
        xs = np.array([box[0], box[2]], dtype=np.float64) - self.trim[0]
        ys = np.array([box[1], box[3]], dtype=np.float64) - self.trim[1]
        width = self.width - self.trim[0] - self.trim[2]
        height = self.height - self.trim[1] - self.trim[3]
        # Every orientation is mirrorings of the stored axes, then perhaps their exchange.
        if self.orientation in (2, 3, 7, 8):
            xs = width - xs
        if self.orientation in (3, 4, 6, 7):
            ys = height - ys
        if self.orientation >= 5:
            xs, ys = ys, xs
        left, top, right, _ = self.square()
        scale = size / (right - left)
        xs, ys = np.sort((xs - left) * scale), np.sort((ys - top) * scale)
        placed = np.array([xs[0], ys[0], xs[1], ys[1]]).clip(0, size)
        if not (placed[2] > placed[0] and placed[3] > placed[1]):
            placed[:] = np.nan
        return placed.astype(np.float32)

    def place_mask(self, mask: np.ndarray, size: int) -> np.ndarray:
        """``(height, width)`` uint8 of the stored image → ``(size, size)``, nearest neighbour."""
        left, top, right, bottom = self.trim
        image = Image.fromarray(mask[top : self.height - bottom, left : self.width - right])
        if self.orientation in _TURNS:
            image = image.transpose(_TURNS[self.orientation])
        return np.array(image.resize((size, size), Image.Resampling.NEAREST, box=self.square()))
