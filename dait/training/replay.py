"""Augmented views that epochs come back to: made once, then copied from memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psutil
import torch
from torch import Tensor

from dait.data.base import ViewKind
from dait.training.stage import StagePosition

MOST_BYTES = 2**30
"""Memory for the views of one machine; never more than a quarter of what is free, either."""


class Replay:
    """The views numbered below ``views`` of ``images`` images of ``size`` pixels a side.

    A view is fixed by its image, its number and the seed, so a copy is bit for bit what making it
    again would give. Memory is taken when a view's first batch is made.
    """

    def __init__(self, images: int, size: int, views: int) -> None:
        self.images, self.size, self.views = images, size, views
        self._kept: dict[int, tuple[Tensor, np.ndarray]] = {}

    def pixels(self, index: np.ndarray, view: int, make: Callable[[], Tensor]) -> Tensor:
        """``(B, 3, S, S)`` float32: view ``view`` of the images ``index`` ``(B,)``.

        make: makes them; called where one of them is not there yet.
        """
        if view >= self.views:
            return make()
        rows, made = self._of(view)
        where = torch.from_numpy(index)
        if made[index].all():
            return rows.index_select(0, where).permute(0, 3, 1, 2)
        pixels = make()
        rows.index_copy_(0, where, pixels.permute(0, 2, 3, 1))
        made[index] = True
        return pixels

    def _of(self, view: int) -> tuple[Tensor, np.ndarray]:
        if view not in self._kept:
            rows = torch.empty(self.images, self.size, self.size, 3)
            self._kept[view] = rows, np.zeros(self.images, dtype=bool)
        return self._kept[view]


def views_to_keep(
    kind: ViewKind,
    stage: StagePosition,
    images: int,
    size: int,
    device: torch.device,
    processes: int = 1,
) -> int:
    """How many views ``Replay`` should hold: those that come again, as far as there is room.

    None on an NVIDIA GPU, which makes its views itself, and none where nothing is augmented.
    processes: that train together, perhaps on this machine.
    """
    repeats = 0 < stage.distinct_views < stage.epochs
    if device.type == "cuda" or kind == "original" or not repeats:
        return 0
    free = psutil.virtual_memory().available // 4
    room = min(MOST_BYTES, free) // processes
    return int(min(stage.distinct_views, room // view_bytes(images, size)))


def view_bytes(images: int, size: int) -> int:
    """Of one view of all images, as it is held."""
    return images * size * size * 3 * 4


def epochs_that_make(stage: StagePosition, kept: int) -> int:
    """Epochs whose views have to be made, where the first ``kept`` of them are held."""
    shown = [stage.view(epoch) for epoch in range(stage.epochs)]
    return len(set(shown)) + sum(view >= kept for view in shown[len(set(shown)) :])
