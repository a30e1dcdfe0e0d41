"""One image of the Field Guide: habitat, bird, what is in front, light, noise, and its masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dait.data.fieldguide.bird import draw_bird
from dait.data.fieldguide.canvas import Canvas
from dait.data.fieldguide.foreground import (
    mirrored_in_water,
    paint_branch,
    paint_front,
    paint_shadow,
)
from dait.data.fieldguide.habitat import WATER, paint_habitat
from dait.data.fieldguide.light import LightName, draw_light, expose, lit_bird
from dait.data.fieldguide.plan import PLANS, PoseName, choose_pose, legs
from dait.data.fieldguide.world import Attributes

RENDERER_VERSION = 3
"""Raise it with every change that moves a pixel: it is part of the data's fingerprint."""

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Scene:
    """image ``(S, S, 3)`` uint8 sRGB; parts ``(S, S)`` uint8, 0 background, k the part k - 1."""

    image: np.ndarray
    parts: np.ndarray
    pose: PoseName
    light: LightName


def render_scene(
    attributes: Attributes, habitat: str, size: int, rng: np.random.Generator
) -> Scene:
    """Draw a bird in a habitat at ``size`` pixels; the same ``rng`` state gives the same pixels.

    Pose, habitat, markings, foreground and light have streams of their own: two birds of one shape
    drawn from the same ``rng`` state differ in their attributes and nothing else.
    """
    for_pose, for_habitat, for_bird, for_front, for_light = _streams(rng)
    side = size * SUPERSAMPLING
    place, pose = choose_pose(attributes, side, for_pose)
    feet = place.to_pixels(
        np.stack([leg[2] for leg in legs(PLANS[attributes["shape"]], place, pose)])
    )
    x, y = float(feet[:, 0].mean()), float(feet[:, 1].max())
    horizon = float(for_habitat.uniform(0.5, 0.76)) * side
    if pose.name == "standing":  # the ground begins behind the feet, not below them
        horizon = min(horizon, y - 0.06 * side)
    picture = paint_habitat(habitat, side, horizon, for_habitat)
    if pose.name == "perched":
        paint_branch(picture, (x, y), habitat, for_front)
    elif pose.name == "standing" and habitat not in WATER:
        picture = paint_shadow(picture, (x, y), 0.42 * place.unit)
    canvas = Canvas(side, place)
    draw_bird(canvas, attributes, pose, for_bird)
    light = draw_light(for_light)
    bird = lit_bird(canvas, light)
    scene = np.asarray(picture, np.float32)
    if pose.name == "standing" and habitat in WATER and 0 < y < side:
        scene = mirrored_in_water(scene, bird, canvas.ids, int(y))
    scene = np.where((canvas.ids > 0)[..., None], bird, scene)
    finished = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    cover = Image.new("L", (side, side), 0)
    paint_front(finished, cover, habitat, for_front)
    small = finished.resize((size, size), Image.Resampling.BOX)
    parts = np.where(np.asarray(cover) > 0, np.uint8(0), canvas.parts())
    labels = parts[::SUPERSAMPLING, ::SUPERSAMPLING].copy()
    seen = expose(np.asarray(small, dtype=np.float32), light, for_light)
    return Scene(seen, labels, pose.name, light.name)


def light_of(rng: np.random.Generator) -> LightName:
    """The light of what ``render_scene`` draws from the same state, without drawing it."""
    return draw_light(_streams(rng)[-1]).name


def _streams(rng: np.random.Generator) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in rng.integers(2**63, size=5).tolist()]
