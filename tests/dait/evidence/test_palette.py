"""The arms' colours can be told apart, by everyone, on light and dark pages."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dait.config.arms import ARM_TITLES
from dait.evidence.palette import (
    ARM_COLOURS,
    OTHER_COLOUR,
    class_looks,
    run_look,
    with_opacity,
)

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear_rgb(colour: str) -> np.ndarray:
    srgb = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    luminances = [float(linear_rgb(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other)]
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


@pytest.mark.parametrize("vision", VISION)
def test_every_two_arms_differ(vision: str) -> None:
    seen = {arm: lab(VISION[vision] @ linear_rgb(colour)) for arm, colour in ARM_COLOURS.items()}
    close = {
        (a, b): round(float(np.linalg.norm(seen[a] - seen[b])), 1)
        for a, b in combinations(seen, 2)
        if np.linalg.norm(seen[a] - seen[b]) < 15
    }
    assert not close


@pytest.mark.parametrize("page", ["#FFFFFF", "#0B0F19", "#1F2937"])
def test_every_arm_reads_on_the_page(page: str) -> None:
    faint = {arm: c for arm, c in ARM_COLOURS.items() if contrast(c, page) < 2.2}
    assert not faint


def test_every_arm_has_a_title() -> None:
    assert ARM_TITLES.keys() == ARM_COLOURS.keys()
    assert len(set(ARM_TITLES.values())) == len(ARM_TITLES)


def test_a_run_takes_its_arms_look() -> None:
    look = run_look("dait-s3")
    assert (look.arm, look.seed, look.colour) == ("dait", 3, ARM_COLOURS["dait"])
    assert look.title == "DAIT, seed 3"
    assert run_look("vlm").title == "Frozen teacher"
    assert run_look("something else").colour == OTHER_COLOUR


def test_classes_of_a_group_share_the_hue_and_differ_by_symbol() -> None:
    looks = class_looks(5, ["wren", "owl", "wren", "owl", "wren"])
    assert looks[0].colour == looks[2].colour == looks[4].colour != looks[1].colour
    assert len({look.symbol for look in looks[0::2]}) == 3


def test_classes_without_groups_all_differ() -> None:
    assert len(set(class_looks(40))) == 40


def test_groups_must_name_every_class() -> None:
    with pytest.raises(ValueError, match="2 group names for 3 classes"):
        class_looks(3, ["a", "b"])


def test_opacity_keeps_the_colour() -> None:
    assert with_opacity("#D55E00", 0.25) == "rgba(213, 94, 0, 0.25)"
