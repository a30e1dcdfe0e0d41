"""Which pixels are the object, and which of them distinguish its class from similar ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dait.data.base import Dataset, Split
from dait.data.few_labels import with_all_labels
from dait.data.fieldguide import FieldGuide
from dait.data.fieldguide.card import differences
from dait.data.fieldguide.world import PARTS, Species
from dait.errors import UserError

PART_NAMES = ("other", "distinguishing")
"""Labels 1 and 2 of ``object_labels``: the rest of the object, and its distinguishing parts."""


def object_labels(data: Dataset, split: Split, indices: np.ndarray) -> np.ndarray:
    """``(n, S, S)`` uint8 of the images ``indices`` of ``split``: 0 background, k a part's number.

    Part k is ``PART_NAMES[k - 1]``. Only the Field Guide has distinguishing parts; in other data
    the whole object is 1, or its box where there is no mask. An image without either is all 0.
    Raises ``UserError`` for data that has neither.
    """
    if split.masks is not None:
        masks = np.asarray(split.masks[indices])
        whole = with_all_labels(data)
        if isinstance(whole, FieldGuide):
            return _marked(masks, split.labels[indices], whole.options.guide())
        return (masks > 0).astype(np.uint8)
    if split.boxes is not None:
        return _filled(split.boxes[indices], split.images.shape[1])
    raise UserError(
        f"The data set {data.name} marks its objects neither by masks nor by boxes, so it cannot "
        "be told whether a heatmap looks at them. The Field Guide has masks; CUB-200-2011, "
        "FGVC-Aircraft, Stanford Cars and Stanford Dogs have boxes."
    )


def has_distinguishing(data: Dataset) -> bool:
    """Whether this data has distinguishing parts."""
    return isinstance(with_all_labels(data), FieldGuide)


def distinguishing_parts(guide: Sequence[Species]) -> tuple[frozenset[str], ...]:
    """For each species of a guide, the parts in which it differs from others of its family.

    A species that differs in its shape differs in all parts; one alone in its family in none.
    """
    found = []
    for species in guide:
        others = (other for other in guide if other.family == species.family)
        parts = {mark.part for other in others for mark in differences(species, other)}
        found.append(frozenset(PARTS if "body" in parts else parts))
    return tuple(found)


def _marked(masks: np.ndarray, labels: np.ndarray, guide: Sequence[Species]) -> np.ndarray:
    numbers = np.ones((len(guide), len(PARTS) + 1), dtype=np.uint8)
    numbers[:, 0] = 0
    for label, parts in enumerate(distinguishing_parts(guide)):
        numbers[label, [PARTS.index(part) + 1 for part in parts]] = 2
    return numbers[labels[:, None, None], masks]


def _filled(boxes: np.ndarray, size: int) -> np.ndarray:
    """``(n, 4)`` left, top, right, bottom → ``(n, size, size)``: pixels whose centre is inside."""
    centre = np.arange(size) + 0.5
    left, top, right, bottom = boxes.T[:, :, None]
    across = (left <= centre) & (centre <= right)
    down = (top <= centre) & (centre <= bottom)
    return (down[:, :, None] & across[:, None, :]).astype(np.uint8)
