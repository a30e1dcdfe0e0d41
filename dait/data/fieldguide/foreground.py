"""What the bird stands on and what hangs in front of it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dait.data.fieldguide.habitat import Rng, blob, mixed, near
from dait.data.fieldguide.world import Colour

_WOOD: dict[str, tuple[Colour, Colour]] = {"snow": ((92, 78, 70), (232, 238, 246))}
_TUFTS: dict[str, Colour] = {
    "forest": (70, 116, 52),
    "marsh": (128, 136, 66),
    "shore": (168, 172, 104),
    "meadow": (94, 156, 54),
    "rocks": (126, 136, 82),
    "snow": (196, 186, 150),
}


def paint_branch(picture: Image.Image, at: tuple[float, float], habitat: str, rng: Rng) -> None:
    """A branch through ``at`` (pixels), where a perched bird's feet are."""
    draw, side = ImageDraw.Draw(picture), picture.width
    bark, top = _WOOD.get(habitat, ((98, 74, 52), (150, 122, 90)))
    x, y = at
    slope, bend = float(rng.uniform(-0.22, 0.22)), float(rng.uniform(-0.1, 0.1))
    xs = np.linspace(-0.05 * side, 1.05 * side, 12)
    ys = y + slope * (xs - x) + bend * (xs - x) ** 2 / side
    half = rng.uniform(0.016, 0.028) * side
    colour = near(rng, bark, 10)
    upper = [*zip(xs.tolist(), (ys - half * 0.2).tolist(), strict=True)]
    lower = [*zip(xs[::-1].tolist(), (ys + 2 * half)[::-1].tolist(), strict=True)]
    draw.polygon(upper + lower, fill=colour)
    draw.line(upper, fill=near(rng, top, 8), width=max(1, int(half * 0.7)), joint="curve")
    for start in rng.uniform(0.05, 0.95, int(rng.integers(1, 4))):
        k = int(start * 11)
        end = (
            xs[k] + rng.normal(0, 0.16) * side,
            ys[k] + rng.choice([-1, 1]) * rng.uniform(0.08, 0.2) * side,
        )
        draw.line((xs[k], ys[k] + half, *end), fill=colour, width=max(1, int(half * 0.8)))
        if habitat not in ("snow", "rocks"):
            for part in (0.6, 0.85, 1.0):
                lx, ly = xs[k] + (end[0] - xs[k]) * part, ys[k] + (end[1] - ys[k]) * part
                blob(draw, lx, ly, 0.026 * side, 0.015 * side, near(rng, (96, 138, 58), 16))


def paint_shadow(picture: Image.Image, at: tuple[float, float], width: float) -> Image.Image:
    """The soft shadow of a standing bird on the ground at ``at``, ``width`` pixels wide."""
    shadow = Image.new("L", picture.size, 0)
    x, y = at
    ImageDraw.Draw(shadow).ellipse(
        (x - width, y - width * 0.16, x + width, y + width * 0.2), fill=90
    )
    shadow = shadow.filter(ImageFilter.BoxBlur(width * 0.14))
    return Image.composite(Image.new("RGB", picture.size, (30, 30, 40)), picture, shadow)


def mirrored_in_water(
    picture: np.ndarray, bird: np.ndarray, ids: np.ndarray, waterline: int
) -> np.ndarray:
    """``picture`` with the bird upside down below ``waterline`` (a row), broken by ripples."""
    side = len(ids)
    rows = np.arange(waterline, min(side, 2 * waterline))
    source = 2 * waterline - 1 - rows
    sway = np.round(np.sin((rows - waterline) * 55.0 / side) * 0.006 * side).astype(int)
    columns = np.clip(np.arange(side)[None, :] + sway[:, None], 0, side - 1)
    seen = ids[source[:, None], columns] > 0
    tone = bird[source[:, None], columns]
    result = picture.copy()
    below = result[rows]
    result[rows] = np.where(seen[..., None], 0.62 * below + 0.38 * tone, below)
    return result


def paint_front(picture: Image.Image, cover: Image.Image, habitat: str, rng: Rng) -> None:
    """Grass along the lower edge, and up to two thin stems; ``cover`` (mode L) marks them 255."""
    rgb, mask, side = ImageDraw.Draw(picture), ImageDraw.Draw(cover), picture.width
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(0, side)
        for _ in range(int(rng.integers(4, 9))):
            foot = x + rng.normal(0, 0.03) * side
            tip = (foot + rng.normal(0, 0.04) * side, side * (1 - rng.uniform(0.06, 0.2)))
            blade = [(foot - 0.008 * side, side), tip, (foot + 0.008 * side, side)]
            rgb.polygon(blade, fill=near(rng, _TUFTS[habitat], 18))
            mask.polygon(blade, fill=255)
    stem = _WOOD.get(habitat, ((96, 78, 50), (0, 0, 0)))[0]
    leaf = (228, 234, 242) if habitat == "snow" else mixed(_TUFTS[habitat], (40, 60, 20), 0.2)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15]))):
        x0, x1 = rng.uniform(-0.1, 1.1, 2) * side
        y0, y1 = rng.uniform(0.3, 1.2, 2) * side
        width = max(2, int(rng.uniform(0.007, 0.016) * side))
        rgb.line((x0, y0, x1, y1), fill=near(rng, stem, 12), width=width)
        mask.line((x0, y0, x1, y1), fill=255, width=width)
        for t in rng.uniform(0.05, 0.95, int(rng.integers(1, 5))):
            x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)
            r = rng.uniform(0.010, 0.024) * side
            box = (x - r * 1.7, y - r, x + r * 1.7, y + r)
            rgb.ellipse(box, fill=near(rng, leaf, 16))
            mask.ellipse(box, fill=255)
    if habitat == "snow":
        for x, y, r in rng.uniform(0, 1, (int(rng.integers(8, 24)), 3)).tolist():
            radius = (0.003 + 0.006 * r) * side
            blob(rgb, x * side, y * side, radius, radius, (250, 250, 252))
