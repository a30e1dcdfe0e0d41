"""One image of the Field Guide: habitat, bird, twigs, light, noise, and its masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dait.data.fieldguide.bird import PLANS, Canvas, Placement, Pose, draw_bird
from dait.data.fieldguide.habitat import paint_habitat, paint_twigs
from dait.data.fieldguide.world import Attributes

RENDERER_VERSION = 2
"""Raise it with every change that moves a pixel: it is part of the data's fingerprint."""

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Scene:
    """image ``(S, S, 3)`` uint8 sRGB; parts ``(S, S)`` uint8, 0 background, k the part k - 1."""

    image: np.ndarray
    parts: np.ndarray


def render_scene(
    attributes: Attributes, habitat: str, size: int, rng: np.random.Generator
) -> Scene:
    """Draw a bird in a habitat at ``size`` pixels; the same ``rng`` state gives the same pixels."""
    side = size * SUPERSAMPLING
    picture = paint_habitat(habitat, side, rng)
    parts = Image.new("L", (side, side), 0)
    place, pose = _placement(attributes, side, rng)
    draw_bird(Canvas(picture, parts, place), attributes, pose, rng)
    lit = _shade(np.asarray(picture, dtype=np.float32), np.asarray(parts), place, attributes, rng)
    picture = Image.fromarray(lit)
    paint_twigs(picture, parts, habitat, rng)
    small = picture.resize((size, size), Image.Resampling.BOX)
    labels = np.asarray(parts)[::SUPERSAMPLING, ::SUPERSAMPLING].copy()
    return Scene(_expose(np.asarray(small, dtype=np.float32), rng), labels)


def _placement(
    attributes: Attributes, side: int, rng: np.random.Generator
) -> tuple[Placement, Pose]:
    plan = PLANS[attributes["shape"]]
    flying = bool(rng.random() < 0.25)
    upright = bool(rng.random() < 0.4) and attributes["shape"] in ("songbird", "raptor")
    pitch = float(rng.uniform(0.25, 0.6) if upright else rng.uniform(-0.15, 0.28))
    unit = side * float(rng.uniform(0.40, 0.56)) * (0.88 if plan.leg > 0.5 else 1.0)
    centre = (
        side * (0.5 + float(rng.uniform(-0.10, 0.10))),
        side * (0.52 + float(rng.uniform(-0.09, 0.09))),
    )
    pose = Pose(
        flying=flying,
        head_tilt=float(rng.uniform(-0.3, 0.25)) - 0.6 * pitch,
        leg_swing=float(rng.uniform(-0.1, 0.1)),
        wing_lift=float(rng.uniform(-0.12, 0.12)),
    )
    return Placement(centre, unit, pitch, bool(rng.random() < 0.5)), pose


def _shade(
    rgb: np.ndarray,
    parts: np.ndarray,
    place: Placement,
    attributes: Attributes,
    rng: np.random.Generator,
) -> np.ndarray:
    """Round the bird with light from above and give it a feather texture."""
    rows, columns = np.nonzero(parts)
    if len(rows) == 0:
        return rgb.astype(np.uint8)
    x, y = place.to_body(columns.astype(np.float32), rows.astype(np.float32))
    rx, ry = PLANS[attributes["shape"]].body
    side_light = float(rng.uniform(-0.15, 0.15))
    round_ = np.minimum((x / rx) ** 2 + (y / ry) ** 2, 1.6)
    shade = 1.04 + 0.22 * np.clip(y / (2 * ry), -0.8, 0.8) + side_light * x - 0.10 * round_
    phase = float(rng.uniform(0, 6.28))
    shade += 0.035 * np.sin(46 * (x + 0.35 * y) + 3.0 * np.sin(17 * y) + phase)
    lit = rgb.copy()
    lit[rows, columns] *= shade[:, None]
    return np.clip(lit, 0, 255).astype(np.uint8)


def _expose(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, colour temperature, a slanted light, and sensor noise."""
    size = rgb.shape[0]
    gain = float(rng.uniform(0.72, 1.22))
    contrast = float(rng.uniform(0.8, 1.15))
    warmth = float(rng.normal(0, 0.045))
    slant_x, slant_y = rng.uniform(-0.16, 0.16, 2)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    light = 1 + slant_x * ramp[None, :] + slant_y * ramp[:, None]
    tint = np.asarray([1 + warmth, 1.0, 1 - warmth], dtype=np.float32)
    out = ((rgb - 118) * contrast + 118) * (gain * light)[..., None] * tint
    out += rng.normal(0, float(rng.uniform(1.0, 6.0)), (size, size, 1)).astype(np.float32)
    return np.clip(out, 0, 255).astype(np.uint8)
