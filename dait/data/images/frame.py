"""How a photograph becomes the square that networks see, so that boxes and masks can follow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from dait.data.base import Box, Fit, Trim
from dait.data.stored import centre_square

MOST_RATIO = 3
"""Longer side over shorter side of a stored image, at most: more is cut off at both ends."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


Rect = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Framing:
    """The preprocessing of photographs: ``size`` × ``size`` pixels, cut out of what is stored.

    crop_pct: timm's word, a fraction: the shorter side of a stored image is ``size / crop_pct``.
    Training views are cut anywhere in the stored image; evaluation takes its centre, as it is.

    fit: ``crop`` stores the whole image (3 : 1 of it at most), its ratio kept. ``square`` stores
    the centre square. ``letterbox`` scales the whole image into ``size`` × ``size``, with bars of
    ImageNet's mean colour where it does not fill them; ``crop_pct`` has no effect then.
    """

    size: int
    crop_pct: float = 1.0
    fit: Fit = "square"

    @property
    def short_side(self) -> int:
        """Shorter side of a stored image, in pixels."""
        return self.size if self.fit == "letterbox" else round(self.size / self.crop_pct)

    @property
    def typical_shape(self) -> tuple[int, int]:
        """Height and width of a stored image: a camera's 4 : 3 where the ratio is kept."""
        side = self.short_side
        return side, round(side * 4 / 3) if self.fit == "crop" else side

    def at(self, size: int) -> Framing:
        """The same part of a photograph in other pixels, to be shown."""
        return replace(self, size=size)

    def centre(self, stored: np.ndarray) -> np.ndarray:
        """``(h, w, ...)`` of a stored image → ``(size, size, ...)``: what evaluation sees."""
        return centre_square(stored, self.size)


@dataclass(frozen=True)
class Frame:
    """The way from an image file to its square: trimmed, turned upright, scaled, cut out.

    width, height: of the file's image in pixels. orientation: EXIF's, 1 to 8 (1: as it is).
    bits: that its values were taken to have, 0 where it has 8 a channel (``images.depth``).
    """

    width: int
    height: int
    framing: Framing
    orientation: int = 1
    trim: Trim = (0, 0, 0, 0)
    bits: int = 0

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after trimming and turning."""
        left, top, right, bottom = self.trim
        across, down = self.width - left - right, self.height - top - bottom
        return (down, across) if self.orientation >= 5 else (across, down)

    @property
    def kept(self) -> Rect:
        """The part of the upright image that is stored."""
        width, height = self.upright
        most = {"crop": MOST_RATIO, "square": 1}.get(self.framing.fit)
        if most is None:
            return 0, 0, width, height
        short = min(width, height)
        across, down = min(width, most * short), min(height, most * short)
        left, top = (width - across) / 2, (height - down) / 2
        return left, top, left + across, top + down

    @property
    def scaled(self) -> tuple[int, int]:
        """Width and height of that part as it is stored (in a letterbox, without its bars)."""
        left, top, right, bottom = self.kept
        width, height = right - left, bottom - top
        letterbox = self.framing.fit == "letterbox"
        given = max(width, height) if letterbox else min(width, height)
        side = self.framing.short_side
        return max(1, round(width * side / given)), max(1, round(height * side / given))

    @property
    def shift(self) -> tuple[int, int]:
        """What to add to a position in the stored image to have it in the square."""
        size = self.framing.size
        # Rounded as ``centre_square`` does; a letterbox has bars where others are cut.
        left, top = (-((side - size) // 2) for side in self.scaled)
        return left, top

    def place_box(self, box: Box) -> np.ndarray:
        """``(4,)`` float32: a box of the file's image in pixels of the square.

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
        left, top, right, bottom = self.kept
        across, down = self.scaled
        xs = np.sort((xs - left) * (across / (right - left))) + self.shift[0]
        ys = np.sort((ys - top) * (down / (bottom - top))) + self.shift[1]
        first_x, first_y, last_x, last_y = self._seen
        xs, ys = xs.clip(first_x, last_x), ys.clip(first_y, last_y)
        placed = np.array([xs[0], ys[0], xs[1], ys[1]])
        if not (placed[2] > placed[0] and placed[3] > placed[1]):
            placed[:] = np.nan
        return placed.astype(np.float32)

    def place_mask(self, mask: np.ndarray) -> np.ndarray:
        """``(height, width)`` uint8 of the file's image → the square, nearest neighbour."""
        left, top, right, bottom = self.trim
        image = Image.fromarray(mask[top : self.height - bottom, left : self.width - right])
        if self.orientation in _TURNS:
            image = image.transpose(_TURNS[self.orientation])
        kept, scaled, shift, seen = self.kept, self.scaled, self.shift, self._seen
        # The part of the upright image that the square shows.
        box = [
            kept[axis] + (edge - shift[axis]) * (kept[axis + 2] - kept[axis]) / scaled[axis]
            for edge, axis in zip(seen, (0, 1, 0, 1), strict=True)
        ]
        shown = (seen[2] - seen[0], seen[3] - seen[1])
        size = self.framing.size
        placed = np.zeros((size, size), np.uint8)
        placed[seen[1] : seen[3], seen[0] : seen[2]] = np.array(
            image.resize(shown, Image.Resampling.NEAREST, box=(box[0], box[1], box[2], box[3]))
        )
        return placed

    @property
    def _seen(self) -> tuple[int, int, int, int]:
        """Where the square shows the image; all of it but a letterbox's bars."""
        (left, top), (across, down), size = self.shift, self.scaled, self.framing.size
        return max(0, left), max(0, top), min(size, left + across), min(size, top + down)
