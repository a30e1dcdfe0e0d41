"""Six cluttered backgrounds, and the twigs that hang in front of the bird."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Rng = np.random.Generator
Draw = ImageDraw.ImageDraw

SKIES = {
    "forest": ((70, 96, 62), (40, 58, 36)),
    "marsh": ((178, 196, 196), (120, 140, 110)),
    "shore": ((150, 192, 224), (206, 220, 224)),
    "meadow": ((142, 188, 230), (196, 212, 170)),
    "rocks": ((150, 160, 176), (186, 184, 180)),
    "snow": ((186, 200, 216), (232, 236, 242)),
}
GROUNDS = {
    "forest": (66, 54, 36),
    "marsh": (82, 104, 98),
    "shore": (212, 190, 146),
    "meadow": (96, 136, 58),
    "rocks": (122, 116, 110),
    "snow": (236, 238, 244),
}
FLOWERS = ((220, 60, 60), (240, 210, 70), (240, 240, 240), (70, 90, 200), (240, 140, 50))


def _near(rng: Rng, colour: tuple[int, int, int], spread: float = 16) -> tuple[int, int, int]:
    # Mostly lighter or darker, a little off in hue: the colours of one kind of thing.
    moved = np.asarray(colour) + rng.normal(0, spread) + rng.normal(0, 0.4 * spread, 3)
    r, g, b = np.clip(moved, 0, 255).astype(int).tolist()
    return r, g, b


def _blob(
    draw: Draw, x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]
) -> None:
    draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=colour)


def _forest(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for _ in range(int(rng.integers(14, 22))):
        x, y = rng.uniform(0, s, 2)
        r = rng.uniform(0.05, 0.16) * s
        _blob(draw, x, y * 0.8, r * 1.3, r, _near(rng, (58, 92, 42), 22))
    for _ in range(int(rng.integers(3, 7))):
        x, w = rng.uniform(0, s), rng.uniform(0.02, 0.08) * s
        lean = rng.normal(0, 0.05) * s
        colour = _near(rng, (78, 60, 44), 14)
        draw.polygon([(x, 0), (x + w, 0), (x + w + lean, s), (x + lean, s)], fill=colour)
    for _ in range(int(rng.integers(6, 14))):
        x, y = rng.uniform(0, s, 2)
        _blob(draw, x, y, 0.02 * s, 0.014 * s, _near(rng, (196, 206, 120), 24))


def _marsh(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for _ in range(int(rng.integers(8, 14))):
        y = rng.uniform(horizon, s)
        x, w = rng.uniform(0, s), rng.uniform(0.1, 0.5) * s
        draw.line((x, y, x + w, y), fill=_near(rng, (150, 176, 176), 20), width=max(1, s // 90))
    for _ in range(int(rng.integers(16, 30))):
        x = rng.uniform(0, s)
        top = horizon - rng.uniform(0.05, 0.45) * s
        colour = _near(rng, (136, 130, 62), 24)
        tip = x + rng.normal(0, 0.05) * s
        draw.line((x, s, tip, top), fill=colour, width=max(1, int(rng.uniform(0.006, 0.018) * s)))
        if rng.random() < 0.35:
            _blob(draw, tip, top, 0.014 * s, 0.05 * s, _near(rng, (96, 62, 36), 12))


def _shore(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    draw.rectangle((0, horizon - 0.16 * s, s, horizon), fill=_near(rng, (66, 130, 168), 12))
    for _ in range(int(rng.integers(3, 7))):
        y, x = horizon - rng.uniform(0, 0.15) * s, rng.uniform(-0.2, 0.8) * s
        draw.line(
            (x, y, x + 0.4 * s, y), fill=_near(rng, (222, 232, 236), 10), width=max(1, s // 80)
        )
    for _ in range(int(rng.integers(12, 26))):
        x, y = rng.uniform(0, s), rng.uniform(horizon, s)
        r = rng.uniform(0.008, 0.04) * s
        _blob(draw, x, y, r * 1.4, r, _near(rng, (150, 130, 112), 40))


def _meadow(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for _ in range(int(rng.integers(30, 50))):
        x, y = rng.uniform(0, s), rng.uniform(horizon, 1.05 * s)
        height = rng.uniform(0.06, 0.22) * s
        tip = x + rng.normal(0, 0.03) * s
        colour = _near(rng, (86, 142, 50), 24)
        draw.line((x, y, tip, y - height), fill=colour, width=max(1, s // 90))
        if rng.random() < 0.3:
            r = rng.uniform(0.010, 0.028) * s
            flower = FLOWERS[int(rng.integers(len(FLOWERS)))]
            _blob(draw, tip, y - height, r, r, _near(rng, flower, 12))


def _rocks(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for _ in range(int(rng.integers(9, 16))):
        x, y = rng.uniform(-0.1, 1.1) * s, rng.uniform(horizon - 0.2 * s, 1.05 * s)
        w, h = rng.uniform(0.08, 0.28) * s, rng.uniform(0.06, 0.22) * s
        base = _near(rng, (126, 120, 116), 22)
        top = (x - w * 0.2 + rng.normal(0, 0.03) * s, y - h)
        draw.polygon([(x - w, y), top, (x + w * 0.5, y - h * 0.7), (x + w, y)], fill=base)
        dark = (int(base[0] * 0.72), int(base[1] * 0.72), int(base[2] * 0.74))
        draw.polygon([(x + w * 0.1, y), (x + w * 0.5, y - h * 0.7), (x + w, y)], fill=dark)
        if rng.random() < 0.4:
            _blob(draw, x, y - h * 0.4, 0.03 * s, 0.02 * s, _near(rng, (176, 160, 70), 24))


def _snow(draw: Draw, s: int, horizon: float, rng: Rng) -> None:
    for _ in range(int(rng.integers(3, 7))):
        x, y, h = rng.uniform(0, s), horizon + 0.06 * s, rng.uniform(0.2, 0.5) * s
        colour = _near(rng, (64, 88, 78), 14)
        for level in range(3):
            low, half = y - h * level * 0.28, h * (0.32 - 0.08 * level)
            draw.polygon([(x - half, low), (x + half, low), (x, low - h * 0.45)], fill=colour)
    for _ in range(int(rng.integers(3, 7))):
        x, y = rng.uniform(0, s), rng.uniform(0.3, 1.0) * s
        end = (x + rng.normal(0, 0.2) * s, y - rng.uniform(0.1, 0.4) * s)
        draw.line((x, y, *end), fill=_near(rng, (92, 78, 70), 12), width=max(1, s // 70))
    for _ in range(int(rng.integers(20, 40))):
        x, y = rng.uniform(0, s, 2)
        r = rng.uniform(0.004, 0.012) * s
        _blob(draw, x, y, r, r, (250, 250, 252))


_PAINTERS: dict[str, Callable[[Draw, int, float, Rng], None]] = {
    "forest": _forest,
    "marsh": _marsh,
    "shore": _shore,
    "meadow": _meadow,
    "rocks": _rocks,
    "snow": _snow,
}


def paint_habitat(habitat: str, side: int, rng: Rng) -> Image.Image:
    """A background ``side`` pixels square: sky, ground, clutter, a little out of focus."""
    sky = np.asarray(SKIES[habitat], dtype=np.float32) + rng.normal(0, 12, (1, 3))
    ground = np.asarray(GROUNDS[habitat], dtype=np.float32) + rng.normal(0, 12, 3)
    horizon = float(rng.uniform(0.5, 0.8)) * side
    y = np.arange(side, dtype=np.float32)[:, None]
    ramp = np.clip(y / horizon, 0, 1)
    column = sky[0] * (1 - ramp) + sky[1] * ramp
    fade = 1.0 - 0.3 * (y - horizon) / side
    column = np.where(y > horizon, ground * fade, column)
    field = np.broadcast_to(column[:, None, :], (side, side, 3))
    image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    _PAINTERS[habitat](ImageDraw.Draw(image), side, horizon, rng)
    return image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.3, 1.6)) * side / 192))


def paint_twigs(picture: Image.Image, parts: Image.Image, habitat: str, rng: Rng) -> None:
    """Up to three thin stems with leaves in front of everything; they hide what they cover."""
    rgb, label = ImageDraw.Draw(picture), ImageDraw.Draw(parts)
    side = picture.width
    stem, leaf = (
        ((92, 66, 44), (84, 120, 48)) if habitat != "snow" else ((84, 70, 64), (226, 230, 236))
    )
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.35, 0.35, 0.2, 0.1]))):
        x0, x1 = rng.uniform(0, side, 2)
        y0, y1 = rng.uniform(0.2, 1.1, 2) * side
        if rng.random() < 0.6:
            x0, x1 = sorted((x0 - 0.3 * side, x1 + 0.4 * side))
        width = max(2, int(rng.uniform(0.008, 0.022) * side))
        rgb.line((x0, y0, x1, y1), fill=_near(rng, stem, 14), width=width)
        label.line((x0, y0, x1, y1), fill=0, width=width)
        for t in rng.uniform(0.05, 0.95, int(rng.integers(0, 5))):
            x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)
            r = rng.uniform(0.012, 0.032) * side
            box = (x - r * 1.5, y - r, x + r * 1.5, y + r)
            rgb.ellipse(box, fill=_near(rng, leaf, 18))
            label.ellipse(box, fill=0)
