"""Where two networks agree on the same images and where they do not: which is right on which."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Agreement(NamedTuple):
    """The images of a split, by which of two networks is right: places in it, ascending."""

    both: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray
    neither: np.ndarray


def agreement(correct_a: np.ndarray, correct_b: np.ndarray) -> Agreement:
    """Sort the images by two networks' answers, ``(N,)`` bool each, over the same images in order.

    ``only_a`` is what the page calls “A right, B wrong”; McNemar's test looks at its length and
    ``only_b``'s. Raises ``ValueError`` where the arrays differ in length.
    """
    if correct_a.shape != correct_b.shape:
        raise ValueError(f"answers of different images: {correct_a.shape} and {correct_b.shape}")
    a, b = correct_a.astype(bool), correct_b.astype(bool)
    return Agreement(*(np.flatnonzero(rows) for rows in (a & b, a & ~b, ~a & b, ~a & ~b)))
