"""Random numbers that belong to an image's view, and to nothing else.

A counter-based generator: what is drawn depends on the key alone, never on what was drawn before,
so it is the same in any batch, order or process.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
from torch import Tensor

# Every random number of a view has its own counter, so adding one at the end moves no other.
_SLOTS = (
    *("area", "ratio", "x", "y", "flip", "angle"),
    *("brightness", "contrast", "saturation", "hue", "gray", "blur", "sigma"),
)
_SLOT = {name: number for number, name in enumerate(_SLOTS)}


class Draws:
    """The numbers of a batch of views, each named by its slot (``"angle"``)."""

    def __init__(
        self,
        indices: Sequence[int] | np.ndarray | Tensor,
        view: int | np.ndarray | Tensor,
        seed: int,
        count: int,
    ) -> None:
        """indices: ``(count,)``; view: one number or ``(count,)``. ``ValueError`` for others.

        SplitMix64 (Steele et al. 2014) as a hash of seed, index, view and slot.
        """
        index, number = _counters(indices), _counters(view)
        if index.shape != (count,) or number.shape not in ((), (count,)):
            raise ValueError(f"{count} images, but indices {index.shape} and view {number.shape}")
        root = _mix(np.array([seed % 2**64], dtype=np.uint64))
        key = _mix(_mix(root ^ index) ^ number)
        slots = np.arange(1, len(_SLOTS) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits = _mix(key[:, None] + slots[None, :])
        self._values = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def __len__(self) -> int:
        return len(self._values)

    def ordered(self, order: np.ndarray | None) -> Draws:
        """Of the same views in another order; None is the same."""
        if order is None:
            return self
        found = copy(self)
        found._values = self._values[order]
        return found

    def between(self, slot: str, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """``(B,)`` float64 from ``low`` to ``high``, evenly."""
        return low + (high - low) * self._values[:, _SLOT[slot]]


def _counters(numbers: int | Sequence[int] | np.ndarray | Tensor) -> np.ndarray:
    plain = numbers.cpu().numpy() if isinstance(numbers, Tensor) else np.asarray(numbers)
    return plain.astype(np.int64).astype(np.uint64)


def _mix(state: np.ndarray) -> np.ndarray:
    """SplitMix64's output function; unsigned 64-bit arithmetic wraps on purpose."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
