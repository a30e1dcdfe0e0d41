"""What a bird is painted on: a map that says which layer owns each pixel, and what each layer is.

Body coordinates: the body's centre is (0, 0), x points to the bill, y points up, and the body is
about one unit long. ``PixelTransform`` carries them to pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from dait.data.fieldguide.world import PARTS, Colour

Points = np.ndarray  # (n, 2) float, body coordinates


@dataclass(frozen=True)
class PixelTransform:
    """Body coordinates to pixels of the canvas: pitch (radians), unit (pixels), centre, mirror."""

    centre: tuple[float, float]
    unit: float
    pitch: float
    mirrored: bool

    def to_pixels(self, points: Points) -> Points:
        """``(n, 2)`` body coordinates → ``(n, 2)`` pixels, y downwards."""
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        x = points[:, 0] * cos - points[:, 1] * sin
        y = points[:, 0] * sin + points[:, 1] * cos
        if self.mirrored:
            x = -x
        return np.stack([self.centre[0] + self.unit * x, self.centre[1] - self.unit * y], axis=1)

    def to_body(self, px: np.ndarray, py: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates back to body coordinates."""
        x = (px - self.centre[0]) / self.unit
        y = (self.centre[1] - py) / self.unit
        if self.mirrored:
            x = -x
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        return x * cos + y * sin, y * cos - x * sin


@dataclass(frozen=True)
class Layer:
    """One painted thing: its part, colour, height above the body's rim, and plumage.

    plumage: 0 is bare (bill, eye, legs), 1 small body feathers, 2 flight feathers.
    """

    part: str
    colour: Colour
    height: float
    plumage: int


class Canvas:
    """``layers[k - 1]`` owns the pixels where ``ids`` is k; 0 is not the bird."""

    def __init__(self, side: int, transform: PixelTransform) -> None:
        self.ids = np.zeros((side, side), np.uint8)
        self.transform = transform
        self.layers: list[Layer] = []

    def fill(
        self,
        part: str,
        points: Points,
        colour: Colour,
        height: float,
        plumage: int = 1,
        within: Iterable[int] | None = None,
    ) -> int:
        """Fill a polygon, only on the layers ``within`` where given; returns the new layer's id."""
        return self._paint(points, None, Layer(part, colour, height, plumage), within)

    def stroke(
        self,
        part: str,
        points: Points,
        colour: Colour,
        width: float,
        height: float,
        within: Iterable[int] | None = None,
        plumage: int = 0,
    ) -> int:
        """A line ``width`` body lengths wide, at least one pixel; returns the new layer's id."""
        return self._paint(points, width, Layer(part, colour, height, plumage), within)

    def parts(self) -> np.ndarray:
        """``(side, side)`` uint8: 0 background, k > 0 is ``PARTS[k - 1]``."""
        table = [0] + [PARTS.index(layer.part) + 1 for layer in self.layers]
        return np.asarray(table, np.uint8)[self.ids]

    def _paint(
        self, points: Points, width: float | None, layer: Layer, within: Iterable[int] | None
    ) -> int:
        self.layers.append(layer)
        number = len(self.layers)
        pixels = self.transform.to_pixels(points)
        thick = 0 if width is None else max(1, round(width * self.transform.unit))
        # Only the polygon's own rectangle is touched: sixty layers would else be sixty canvases.
        side = len(self.ids)
        low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - thick - 1, 0, side)
        high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + thick + 2, 0, side)
        if (high <= low).any():
            return number
        stencil = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])), 0)
        flat = [(float(x), float(y)) for x, y in pixels - low]
        draw = ImageDraw.Draw(stencil)
        if width is None:
            draw.polygon(flat, fill=1)
        else:
            draw.line(flat, fill=1, width=thick, joint="curve")
        chosen = np.asarray(stencil) > 0
        region = self.ids[low[1] : high[1], low[0] : high[0]]
        if within is not None:
            allowed = np.zeros(256, bool)
            allowed[list(within)] = True
            chosen = chosen & allowed[region]
        region[chosen] = number
        return number


def points(*pairs: tuple[float, float]) -> Points:
    """``(n, 2)`` from pairs."""
    return np.asarray(pairs, dtype=float)


def smooth(corners: Points, closed: bool = True, steps: int = 6) -> Points:
    """A Catmull-Rom spline through ``corners``, ``steps`` points between two of them."""
    n = len(corners)
    if closed:
        before, after, end = np.roll(corners, 1, 0), np.roll(corners, -1, 0), n
        beyond = np.roll(corners, -2, 0)
    else:
        padded = np.concatenate([corners[:1], corners, corners[-1:]])
        before, after, beyond, end = padded[: n - 1], corners[1:], padded[3:], n - 1
    at = corners[:end]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = (p[:, None, :] for p in (before, at, after, beyond))
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, corners[-1:]])


def ellipse(
    centre: tuple[float, float],
    radii: tuple[float, float],
    start: float = 0.0,
    stop: float = 360.0,
    count: int = 28,
) -> Points:
    """An arc in degrees, counter-clockwise from the bill's side."""
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack(
        [centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1
    )


def turned(shape: Points, about: tuple[float, float], angle: float) -> Points:
    """``shape`` turned counter-clockwise by ``angle`` radians."""
    centre = np.asarray(about)
    cos, sin = np.cos(angle), np.sin(angle)
    return (shape - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre


def darker(colour: Colour, amount: float) -> Colour:
    """``colour`` with ``amount`` (0 to 1) of its light taken away; below 0 mixes in white."""
    if amount < 0:
        r, g, b = (int(c + (255 - c) * -amount) for c in colour)
    else:
        r, g, b = (int(c * (1 - amount)) for c in colour)
    return r, g, b
