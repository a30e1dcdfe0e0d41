"""The row of heatmaps and the sample images, as HTML with the pictures inside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.ui.pictures import picture_address
from app.ui.templates import render
from dait.data.base import ClassInfo
from dait.evidence.heatmaps.explanation import Explanation
from dait.evidence.heatmaps.overlay import heat_layer

OTHER_CLASSES = 2
"""Classes after the most probable one."""


@dataclass(frozen=True)
class Picture:
    """An image to explain.

    seen: ``(S, S, 3)`` uint8, the networks' input; shown: ``(D, D, 3)`` uint8, the same crop for
    people; truth: its class where that is known; index: of a test image.
    """

    seen: np.ndarray
    shown: np.ndarray
    truth: int | None
    name: str
    index: int | None = None


def row_html(
    picture: Picture,
    explanations: Sequence[Explanation],
    classes: Sequence[ClassInfo],
    removable: int | None = None,
    unlike: str = "",
) -> str:
    """One card per network: the picture under its heatmap, its prediction, and whether it is right.

    removable: the row's position among several, where it has a button to remove it. unlike: of
    ``unlike_html``.
    """
    return render(
        "heatmap_row",
        picture=picture,
        photograph=picture_address(picture.shown),
        cells=[{"explanation": found, "heatmap": _heatmap(found)} for found in explanations],
        classes=classes,
        removable=removable,
        unlike=unlike,
        other_answers=OTHER_CLASSES,
    )


def gallery_html(images: Sequence[tuple[int, np.ndarray, str]], selected: Collection[int]) -> str:
    """Buttons with ``(index, (S, S, 3) uint8, class name)``; those ``selected`` are pressed."""
    return render(
        "gallery",
        images=[
            {
                "index": index,
                "address": picture_address(image),
                "name": name,
                "selected": index in selected,
            }
            for index, image, name in images
        ],
    )


def heat_address(heat: np.ndarray | None) -> str | None:
    """The overlay of a heatmap as an address; None if there is none."""
    return None if heat is None else picture_address(heat_layer(heat), kind="PNG")


def _heatmap(found: Explanation) -> dict[str, Any] | None:
    """The overlay as an address, and its maximum in percent of the sides; None if it is empty."""
    if found.empty:
        return None
    peak = np.unravel_index(int(found.heat.argmax()), found.heat.shape)
    top, left = (100 * (at + 0.5) / found.heat.shape[0] for at in peak)
    return {"address": heat_address(found.heat), "top": top, "left": left}
