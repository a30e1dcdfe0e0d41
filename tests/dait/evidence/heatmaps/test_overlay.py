"""Heatmaps over images."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps

from dait.evidence.heatmaps.inferno import INFERNO
from dait.evidence.heatmaps.overlay import heat_layer, heatmap_row, overlay

GREY = np.full((16, 16, 3), 128, dtype=np.uint8)


def test_no_heat_leaves_the_image_alone() -> None:
    assert np.array_equal(overlay(GREY, np.zeros((16, 16), dtype=np.float32)), GREY)


def test_heat_shows_where_it_is() -> None:
    heat = np.zeros((16, 16), dtype=np.float32)
    heat[4:8, 8:12] = 1.0
    covered = overlay(GREY, heat)
    changed = (covered != GREY).any(axis=2)
    assert np.array_equal(changed, heat > 0)
    assert covered.dtype == np.uint8


def test_opacity_is_the_share_of_the_colour() -> None:
    heat = np.ones((16, 16), dtype=np.float32)
    half, full = (overlay(GREY, heat, opacity).astype(int) for opacity in (0.5, 1.0))
    assert np.abs(half - (GREY.astype(int) + full) / 2).max() <= 1
    assert np.array_equal(overlay(GREY, heat, 0.0), GREY)


def test_the_layer_alone_gives_the_same_picture_when_laid_over() -> None:
    heat = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    layer = heat_layer(heat).astype(np.float32)
    cover = 0.5 * layer[..., 3:] / 255
    laid = (1 - cover) * GREY + cover * layer[..., :3]
    assert np.abs(laid - overlay(GREY, heat, 0.5)).max() <= 1.5
    with pytest.raises(ValueError):
        heat_layer(heat * 2)


@pytest.mark.parametrize(
    ("image", "heat", "opacity"),
    [
        (GREY, np.zeros((8, 8)), 0.5),
        (GREY.astype(np.float32), np.zeros((16, 16)), 0.5),
        (GREY, np.full((16, 16), 1.5), 0.5),
        (GREY, np.full((16, 16), np.nan), 0.5),
        (GREY, np.zeros((16, 16)), 1.5),
    ],
)
def test_what_does_not_fit_is_refused(image: np.ndarray, heat: np.ndarray, opacity: float) -> None:
    with pytest.raises(ValueError):
        overlay(image, heat, opacity)


def test_a_row_holds_every_picture_in_order() -> None:
    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[..., 0] = 255
    blue = red[..., ::-1].copy()
    row = heatmap_row([("Red", "first", red), ("Blue", "second", blue)], side=64, gap=8)
    assert row.width == 2 * 64 + 3 * 8
    pixels = np.asarray(row)
    bottom = row.height - 20
    assert tuple(pixels[bottom, 8 + 32]) == (255, 0, 0)
    assert tuple(pixels[bottom, 2 * 8 + 64 + 32]) == (0, 0, 255)
    caption = pixels[: row.height - 64 - 8]
    assert (caption[:, : 8 + 64] < 128).any() and (caption[:, 8 + 64 + 4 :] < 128).any()


def test_a_long_caption_stays_in_its_column() -> None:
    picture = np.full((8, 8, 3), 255, dtype=np.uint8)
    row = heatmap_row([("A very long title indeed, " * 4, "", picture)] * 2, side=96, gap=10)
    between = np.asarray(row)[:, 10 + 96 + 1 : 10 + 96 + 9]
    assert (between == 255).all()


def test_an_empty_row_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        heatmap_row([])


def test_the_colours_are_those_of_matplotlib() -> None:
    colours = colormaps["inferno"](np.arange(256), bytes=True)[:, :3]
    assert np.abs(INFERNO - colours).max() <= 1
