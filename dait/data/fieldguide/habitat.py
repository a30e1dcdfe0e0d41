"""Six backgrounds in layers: sky, far land, water or ground, clutter, and what hangs in front."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dait.data.fieldguide.world import Colour

Rng = np.random.Generator
Draw = ImageDraw.ImageDraw

SKIES: dict[str, tuple[Colour, Colour]] = {
    "forest": ((104, 138, 84), (54, 80, 46)),
    "marsh": ((168, 186, 196), (226, 214, 186)),
    "shore": ((116, 170, 218), (214, 228, 232)),
    "meadow": ((112, 168, 226), (218, 230, 226)),
    "rocks": ((126, 152, 188), (214, 212, 206)),
    "snow": ((170, 188, 212), (236, 232, 232)),
}
GROUNDS: dict[str, Colour] = {
    "forest": (72, 62, 40),
    "marsh": (104, 128, 126),
    "shore": (214, 194, 152),
    "meadow": (100, 142, 60),
    "rocks": (128, 120, 112),
    "snow": (232, 236, 244),
}
WATER = ("marsh",)
"""Habitats whose ground mirrors what stands on it."""

FLOWERS = ((220, 60, 60), (240, 210, 70), (240, 240, 240), (90, 100, 210), (240, 140, 50))


def near(rng: Rng, colour: Colour, spread: float = 16) -> Colour:
    """A colour close to ``colour``: mostly lighter or darker, a little off in hue."""
    moved = np.asarray(colour) + rng.normal(0, spread) + rng.normal(0, 0.4 * spread, 3)
    r, g, b = np.clip(moved, 0, 255).astype(int).tolist()
    return r, g, b


def mixed(first: Colour, second: Colour, part: float) -> Colour:
    """``part`` (0 to 1) of the way from ``first`` to ``second``."""
    r, g, b = (int(a + (b - a) * part) for a, b in zip(first, second, strict=True))
    return r, g, b


def blob(draw: Draw, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
    draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)


def ridge(draw: Draw, s: int, level: float, rough: float, colour: Colour, rng: Rng) -> None:
    """Land up to ``level`` (pixels from the top), its skyline a sum of waves ``rough`` high."""
    x = np.linspace(0, s, 33)
    y = np.full(33, level)
    for octave in range(1, 5):
        waves, phase = float(rng.uniform(0.6, 1.4)) * 2**octave, float(rng.uniform(0, 6.28))
        y = y + rough * s / 1.8**octave * np.sin(waves * x / s * 3.14 + phase)
    draw.polygon([*zip(x.tolist(), y.tolist(), strict=True), (s, s), (0, s)], fill=colour)


def clouds(draw: Draw, s: int, horizon: float, colour: Colour, rng: Rng) -> None:
    for _ in range(int(rng.integers(0, 4))):
        x, y, w = (
            rng.uniform(0, s),
            rng.uniform(0.04 * s, 0.7 * horizon),
            rng.uniform(0.1, 0.25) * s,
        )
        for _ in range(4):
            blob(draw, x + rng.normal(0, 0.5) * w, y + rng.normal(0, 0.08) * w, 0.6 * w, 0.16 * w,
                 colour)  # fmt: skip


def _forest(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for depth in range(3):  # far trunks are pale and thin, near ones dark and wide
        haze = mixed((72, 58, 42), SKIES["forest"][0], 0.62 - 0.3 * depth)
        for _ in range(int(rng.integers(2, 5))):
            x, w = rng.uniform(-0.05, 1.05) * s, rng.uniform(0.015, 0.03) * s * (1 + 0.9 * depth)
            lean = rng.normal(0, 0.04) * s
            colour = near(rng, haze, 8)
            foot = horizon + 0.1 * depth * s
            draw.polygon(
                [(x, 0), (x + w, 0), (x + w * 1.2 + lean, foot), (x + lean, foot)], fill=colour
            )
            draw.line((x + w * 0.8, 0, x + w + lean, foot), fill=mixed(colour, (20, 20, 10), 0.3),
                      width=max(1, int(w * 0.25)))  # fmt: skip
        for _ in range(int(rng.integers(5, 9))):
            x, y, r = rng.uniform(0, s), rng.uniform(-0.1, 0.55) * s, rng.uniform(0.05, 0.13) * s
            leaf = mixed((64, 104, 44), SKIES["forest"][0], 0.5 - 0.2 * depth)
            blob(draw, x, y, r * 1.3, r, near(rng, leaf, 14))
    for _ in range(int(rng.integers(5, 12))):  # sun through the leaves
        x, y = rng.uniform(0, s), rng.uniform(0, horizon)
        r = rng.uniform(0.01, 0.03) * s
        blob(draw, x, y, r, r, near(rng, (206, 216, 136), 20))
    for _ in range(int(rng.integers(20, 34))):
        x, y = rng.uniform(0, s), rng.uniform(horizon + 0.02 * s, s)
        r = rng.uniform(0.01, 0.03) * s
        blob(draw, x, y, r * 1.8, r * 0.7, near(rng, (112, 84, 46), 24))


def _marsh(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for depth in range(2):
        far = mixed((92, 112, 84), SKIES["marsh"][1], 0.55 - 0.35 * depth)
        ridge(draw, s, horizon - (0.07 - 0.05 * depth) * s, 0.03, near(rng, far, 6), rng)
        # Water shows the land upside down.
    water = near(rng, GROUNDS["marsh"], 8)
    draw.rectangle((0, horizon, s, s), fill=water)
    for row in range(14):
        y = horizon + (row + 0.5) / 14 * (s - horizon)
        shown = mixed((92, 112, 92), SKIES["marsh"][0], min(1.0, row / 7))
        draw.line(
            (0, y, s, y), fill=mixed(water, shown, 0.55), width=max(1, int((s - horizon) / 14))
        )
    for _ in range(int(rng.integers(8, 14))):
        y, x, w = rng.uniform(horizon, s), rng.uniform(-0.1, 1) * s, rng.uniform(0.08, 0.4) * s
        draw.line((x, y, x + w, y), fill=near(rng, (196, 208, 206), 14), width=max(1, s // 130))
    for _ in range(int(rng.integers(16, 30))):
        x = rng.uniform(0, s)
        top, foot = horizon - rng.uniform(0.05, 0.42) * s, horizon + rng.uniform(0.02, 0.3) * s
        colour, tip = near(rng, (136, 134, 66), 22), x + rng.normal(0, 0.05) * s
        width = max(1, int(rng.uniform(0.006, 0.016) * s))
        draw.line((x, foot, tip, top), fill=colour, width=width)
        draw.line(
            (x, foot, 2 * x - tip, 2 * foot - top), fill=mixed(colour, water, 0.72), width=width
        )
        if rng.random() < 0.35:
            blob(draw, tip, top, 0.013 * s, 0.048 * s, near(rng, (96, 62, 36), 10))


def _shore(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    clouds(draw, s, horizon, (236, 240, 244), rng)
    sea = horizon - rng.uniform(0.12, 0.2) * s
    for row in range(8):  # deep blue far out, pale over the sand
        y = sea + row / 8 * (horizon - sea)
        colour = mixed((48, 104, 156), (132, 190, 196), row / 7)
        draw.rectangle((0, y, s, horizon), fill=near(rng, colour, 3))
    for _ in range(int(rng.integers(4, 8))):
        y, x = sea + rng.uniform(0.1, 1.0) * (horizon - sea), rng.uniform(-0.3, 0.8) * s
        draw.line((x, y, x + rng.uniform(0.1, 0.5) * s, y), fill=near(rng, (224, 236, 240), 8),
                  width=max(1, s // 110))  # fmt: skip
    ridge(draw, s, horizon + 0.02 * s, 0.016, (184, 166, 130), rng)  # wet sand, then dry
    ridge(draw, s, horizon + 0.07 * s, 0.016, near(rng, GROUNDS["shore"], 6), rng)
    for _ in range(int(rng.integers(14, 30))):
        x, y = rng.uniform(0, s), rng.uniform(horizon + 0.06 * s, s)
        r = rng.uniform(0.006, 0.03) * s * (0.4 + (y - horizon) / (s - horizon))
        blob(draw, x + 0.3 * r, y + 0.4 * r, r * 1.5, r * 0.8, (170, 150, 116))
        blob(draw, x, y, r * 1.4, r, near(rng, (158, 142, 126), 34))


def _meadow(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    clouds(draw, s, horizon, (244, 246, 248), rng)
    for depth in range(3):  # hills: blue far away, green close by
        hill = mixed((92, 138, 62), SKIES["meadow"][1], 0.62 - 0.26 * depth)
        ridge(draw, s, horizon - (0.12 - 0.06 * depth) * s, 0.05, near(rng, hill, 6), rng)
    ridge(draw, s, horizon + 0.01 * s, 0.012, near(rng, GROUNDS["meadow"], 8), rng)
    for _ in range(int(rng.integers(44, 64))):
        x, y = rng.uniform(0, s), rng.uniform(horizon, 1.08 * s)
        scale = 0.35 + (y - horizon) / (s - horizon)
        height, tip = rng.uniform(0.05, 0.15) * s * scale, x + rng.normal(0, 0.02) * s
        colour = near(rng, (88, 146, 52), 24)
        draw.line((x, y, tip, y - height), fill=colour, width=max(1, int(0.008 * s * scale)))
        if rng.random() < 0.24:
            r = rng.uniform(0.009, 0.020) * s * scale
            flower = near(rng, FLOWERS[int(rng.integers(len(FLOWERS)))], 10)
            blob(draw, tip, y - height, r, r, flower)
            blob(draw, tip, y - height, r * 0.4, r * 0.4, (236, 196, 60))


def _rocks(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    clouds(draw, s, horizon, (226, 230, 236), rng)
    for depth in range(3):
        far = mixed((98, 96, 100), SKIES["rocks"][1], 0.6 - 0.25 * depth)
        ridge(
            draw,
            s,
            horizon - (0.20 - 0.09 * depth) * s,
            0.11 - 0.03 * depth,
            near(rng, far, 6),
            rng,
        )
    boulders = sorted(rng.uniform(horizon - 0.06 * s, 1.08 * s, int(rng.integers(10, 17))).tolist())
    for y in boulders:  # the near ones over the far ones
        scale = 0.5 + (y - horizon) / (s - horizon)
        x, w, h = rng.uniform(-0.1, 1.1) * s, rng.uniform(0.08, 0.2) * s * scale, 0.0
        h = w * rng.uniform(0.6, 0.95)
        base = near(rng, (138, 130, 122), 18)
        crown = [(x - w, y), (x - 0.72 * w, y - 0.7 * h), (x - 0.1 * w, y - h),
                 (x + 0.55 * w, y - 0.78 * h),
                 (x + w, y)]  # fmt: skip
        draw.polygon(crown, fill=base)
        draw.polygon(
            [crown[1], crown[2], (x - 0.2 * w, y - 0.5 * h)], fill=mixed(base, (255, 250, 236), 0.3)
        )
        draw.polygon([crown[3], crown[4], (x + 0.2 * w, y), (x + 0.1 * w, y - 0.5 * h)],
                     fill=mixed(base, (40, 40, 56), 0.35))  # fmt: skip
        if rng.random() < 0.4:
            blob(draw, x - 0.3 * w, y - 0.55 * h, 0.16 * w, 0.1 * w, near(rng, (176, 166, 84), 20))


def _snow(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for depth in range(2):
        far = mixed((150, 164, 186), SKIES["snow"][1], 0.55 - 0.3 * depth)
        ridge(draw, s, horizon - (0.13 - 0.07 * depth) * s, 0.05, near(rng, far, 5), rng)
    for y in sorted(
        rng.uniform(horizon - 0.02 * s, horizon + 0.1 * s, int(rng.integers(4, 8))).tolist()
    ):
        x, h = rng.uniform(0, s), rng.uniform(0.2, 0.46) * s
        colour = near(rng, mixed((56, 84, 72), SKIES["snow"][1], rng.uniform(0.0, 0.4)), 8)
        for level in range(4):
            low, half = y - h * level * 0.22, h * (0.30 - 0.06 * level)
            draw.polygon([(x - half, low), (x + half, low), (x, low - h * 0.36)], fill=colour)
            laden = [(x - half * 0.55, low - h * 0.14), (x, low - h * 0.36),
                     (x + half * 0.2, low - h * 0.2)]  # fmt: skip
            draw.polygon(laden, fill=(232, 238, 246))
    ridge(draw, s, horizon + 0.06 * s, 0.02, near(rng, GROUNDS["snow"], 5), rng)
    for _ in range(int(rng.integers(3, 6))):  # blue hollows
        x, y = rng.uniform(0, s), rng.uniform(horizon + 0.12 * s, s)
        blob(draw, x, y, rng.uniform(0.1, 0.3) * s, 0.025 * s, near(rng, (206, 218, 238), 5))


_PAINTERS: dict[str, Callable[[Draw, int, float, Rng], None]] = {
    "forest": _forest,
    "marsh": _marsh,
    "shore": _shore,
    "meadow": _meadow,
    "rocks": _rocks,
    "snow": _snow,
}


def paint_habitat(habitat: str, side: int, horizon: float, rng: Rng) -> Image.Image:
    """A background ``side`` pixels square, out of focus by a random amount.

    horizon: where the ground begins, in pixels from the top.
    """
    sky = np.asarray(SKIES[habitat], dtype=np.float32) + rng.normal(0, 10, (1, 3))
    ground = np.asarray(GROUNDS[habitat], dtype=np.float32) + rng.normal(0, 10, 3)
    y = np.arange(side, dtype=np.float32)[:, None]
    ramp = np.clip(y / horizon, 0, 1)
    column = sky[0] * (1 - ramp) + sky[1] * ramp
    fade = 1.04 - 0.32 * (y - horizon) / side
    column = np.where(y > horizon, ground * fade, column)
    field = np.broadcast_to(column[:, None, :], (side, side, 3))
    image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    _PAINTERS[habitat](ImageDraw.Draw(image), side, horizon, rng)
    return image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.4, 2.0)) * side / 192))
