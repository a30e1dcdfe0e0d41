"""Light on a bird and on a picture: drawn at random, then relief, plumage, exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageFilter

from dait.data.fieldguide.canvas import Canvas

Rng = np.random.Generator
LightName = Literal["dim", "medium", "bright"]
LIGHTS: tuple[LightName, ...] = get_args(LightName)

_GAINS = (0.76, 1.18)


@dataclass(frozen=True)
class Light:
    """One image's light.

    angle: where it comes from, radians from the right, anticlockwise. strength: of relief.
    wave: where the rows of small feathers begin, in rows. gain, contrast: factors of the exposure.
    warmth: how much redder than blue. slant: ``(2,)`` how much brighter to the right and below.
    """

    angle: float
    strength: float
    wave: float
    gain: float
    contrast: float
    warmth: float
    slant: np.ndarray

    @property
    def name(self) -> LightName:
        """How bright the exposure is: each of the three has a third of all images."""
        low, high = _GAINS
        return LIGHTS[min(2, int(3 * (self.gain - low) / (high - low)))]


def draw_light(rng: Rng) -> Light:
    """A light at random. Another order of the draws would be another picture."""
    return Light(
        angle=float(rng.uniform(0.9, 2.2)),
        strength=float(rng.uniform(0.75, 1.2)),
        wave=float(rng.uniform(0, 1)),
        gain=float(rng.uniform(*_GAINS)),
        contrast=float(rng.uniform(0.82, 1.14)),
        warmth=float(rng.normal(0, 0.045)),
        slant=rng.uniform(-0.15, 0.15, 2),
    )


def lit_bird(canvas: Canvas, light: Light) -> np.ndarray:
    """``(side, side, 3)`` float32: the bird's colours under light from above and in front.

    Each layer has a height; their blurred relief, lit from one side, rounds the body and lifts
    wing and head off it. Plumage adds the scallops of small feathers.
    """
    place, ids = canvas.transform, canvas.ids
    colours = np.asarray([(0, 0, 0), *(layer.colour for layer in canvas.layers)], np.float32)
    heights = np.asarray([0.0, *(layer.height for layer in canvas.layers)], np.float32)
    plumage = np.asarray([0, *(layer.plumage for layer in canvas.layers)], np.uint8)
    relief = Image.fromarray((heights[ids] * 150).astype(np.uint8))
    wide = _slope(relief, 0.15 * place.unit, light.angle) * 1.05
    fine = _slope(relief, 0.035 * place.unit, light.angle) * 0.42
    shade = 1.0 + light.strength * (0.0022 * 4 * wide + 0.0022 * 4 * fine)
    rows, columns = np.nonzero(ids)
    kinds = plumage[ids[rows, columns]]
    x, y = place.to_body(columns.astype(np.float32), rows.astype(np.float32))
    local = shade[rows, columns]
    # Eyes, bills and legs are hard and small: the relief around them is not theirs.
    local = np.where(kinds == 0, 1.0 + 0.3 * (local - 1.0), local)
    local = local + np.where(kinds == 1, _scallops(x, y, light.wave), 0.0)
    # Feathers of the back catch the sky, the belly the ground's shade.
    local = local * (1.02 + 0.10 * np.clip(y * 1.6, -0.5, 0.5))
    # The ground throws light back: shade keeps the colours of the belly readable.
    local = np.where(local < 1, 1 + 0.62 * (local - 1), local)
    local = np.clip(local, 0.55, 1.55)[:, None]
    base = colours[ids[rows, columns]]
    # Above full light a colour goes towards white, as a sunlit feather does.
    bright = base * (1 + 0.45 * np.clip(local - 1, 0, 1)) + 46 * np.clip(local - 1.0, 0, 1)
    result = np.zeros((*ids.shape, 3), np.float32)
    result[rows, columns] = np.where(local > 1, bright, base * local)
    return result


def _slope(relief: Image.Image, radius: float, angle: float) -> np.ndarray:
    """How much the relief, blurred by ``radius`` pixels, rises away from the light."""
    # Two box blurs are nearly a Gaussian and cost the same at every radius.
    soft = relief.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius))
    height = np.asarray(soft, np.float32)
    reach = max(1, round(radius * 0.8))
    dx, dy = round(reach * np.cos(angle)), round(-reach * np.sin(angle))
    padded = np.pad(height, reach, mode="edge")
    side = len(height)

    def moved(by_x: int, by_y: int) -> np.ndarray:
        return padded[reach + by_y : reach + by_y + side, reach + by_x : reach + by_x + side]

    return moved(-dx, -dy) - moved(dx, dy)


def _scallops(x: np.ndarray, y: np.ndarray, wave: float) -> np.ndarray:
    """Rows of small overlapping feathers: dark just inside each rounded tip."""
    along = x / 0.085 + 0.6 * y + wave
    row = np.floor(along)
    across = y / 0.075 + 0.5 * (row % 2)
    middle = across - np.floor(across) - 0.5
    depth = along - row - 1.6 * middle * middle
    return (0.05 * np.clip(np.abs(depth - 0.25) * 4 - 0.6, -1, 1)).astype(np.float32)


def expose(rgb: np.ndarray, light: Light, rng: Rng) -> np.ndarray:
    """Brightness, contrast, colour temperature, a slanted light, and sensor noise.

    ``(S, S, 3)`` float32 → uint8.
    """
    size = rgb.shape[0]
    slant_x, slant_y = light.slant
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    field = 1 + slant_x * ramp[None, :] + slant_y * ramp[:, None]
    tint = np.asarray([1 + light.warmth, 1.0, 1 - light.warmth], dtype=np.float32)
    out = ((rgb - 118) * light.contrast + 118) * (light.gain * field)[..., None] * tint
    grain = rng.standard_normal((size, size, 1), dtype=np.float32)
    out += grain * np.float32(rng.uniform(1.0, 5.0))
    return np.clip(out, 0, 255).astype(np.uint8)
