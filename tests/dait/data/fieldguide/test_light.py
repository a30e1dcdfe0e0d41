"""Light: three names for how bright it is, all equally frequent, told without drawing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from dait.data.fieldguide.light import LIGHTS, LightName, draw_light, expose
from dait.data.fieldguide.scene import light_of, render_scene
from dait.data.fieldguide.world import load_world


@pytest.mark.parametrize(
    ("gain", "name"),
    [
        *((0.76, "dim"), (0.89, "dim"), (0.91, "medium"), (1.03, "medium")),
        *((1.05, "bright"), (1.18, "bright")),
    ],
)
def test_a_light_is_named_by_its_exposure(gain: float, name: LightName) -> None:
    light = replace(draw_light(np.random.default_rng(0)), gain=gain)
    assert light.name == name


def test_a_brighter_light_gives_a_brighter_image() -> None:
    grey = np.full((16, 16, 3), 118, np.float32)
    light = draw_light(np.random.default_rng(1))
    means = []
    for gain in (0.8, 0.97, 1.15):
        image = expose(grey, replace(light, gain=gain), np.random.default_rng(2))
        means.append(float(image.mean()))
    assert means == pytest.approx([gain * 118 for gain in (0.8, 0.97, 1.15)], rel=0.03)


def test_each_light_has_a_third_of_the_images() -> None:
    counts = Counter(draw_light(np.random.default_rng(seed)).name for seed in range(900))
    assert set(counts) == set(LIGHTS) and min(counts.values()) > 240


def test_the_light_of_a_scene_is_told_without_drawing_it() -> None:
    table = load_world().species[0].attributes
    for seed in range(5):
        scene = render_scene(table, "marsh", 32, np.random.default_rng(seed))
        assert light_of(np.random.default_rng(seed)) == scene.light
