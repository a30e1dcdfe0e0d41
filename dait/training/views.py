"""The training images as an epoch shows them: which view, and where and when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import psutil
import torch
from torch import Tensor

from dait.data.augmentation.views import ViewPolicy, pinned, view_batch
from dait.data.base import Split, ViewKind
from dait.data.stored import Packed

MOST_BYTES = 2**30
"""Memory for replayed views on one machine; never more than a quarter of what is free, either."""


@dataclass(frozen=True)
class StagePosition:
    """One network's training within a run: stage ``index`` (from 0) of ``count``.

    distinct_views: epochs cycle through this many views of each image; 0 means a new one every
    epoch. unlabelled: whether it learns from unlabelled images too.
    """

    index: int
    count: int
    epochs: int
    seed: int
    distinct_views: int = 0
    unlabelled: bool = False

    @property
    def repeats(self) -> bool:
        """Whether views are shown again."""
        return 0 < self.distinct_views < self.epochs

    def view(self, epoch: int) -> int:
        """The number of the view that an epoch (or a round of the images) shows."""
        return epoch % self.distinct_views if self.distinct_views else epoch


@dataclass(frozen=True)
class TrainingViews:
    """Augmented views of a stage's training images: the one place where they are made.

    A batch takes two calls, because a CPU makes its views ahead, in the loader's thread, and an
    NVIDIA GPU makes them itself, from stored pixels that were copied to pinned memory ahead.

    processes: that train together, perhaps on this machine.
    """

    split: Split
    policy: ViewPolicy
    stage: StagePosition
    device: torch.device
    processes: int = 1

    def load(self, index: np.ndarray, view: int) -> Tensor | Packed:
        """What can be made ahead of view ``view`` of the images ``index`` ``(B,)``."""
        if self.device.type == "cuda":
            return pinned(self._stored(index))
        return self._replay.pixels(index, view, partial(self._augment, index, view))

    def finish(self, loaded: Tensor | Packed, index: np.ndarray, view: int) -> Tensor:
        """``(B, 3, S, S)`` in [0, 1] on the device, from what ``load`` gave for the same view."""
        if isinstance(loaded, Tensor):
            return loaded.to(self.device)
        return view_batch(loaded, index, view, self.policy, device=self.device)

    def _augment(self, index: np.ndarray, view: int) -> Tensor:
        return view_batch(self._stored(index), index, view, self.policy)

    def _stored(self, index: np.ndarray) -> np.ndarray | Packed:
        split = self.split
        return (split.images if self.policy.kind == "original" else split.uncropped)[index]

    @cached_property
    def _replay(self) -> Replay:
        images, size = self.split.images.shape[:2]
        kind = self.policy.kind
        views = views_to_keep(kind, self.stage, images, size, self.device, self.processes)
        return Replay(images, size, views)


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
    if device.type == "cuda" or kind == "original" or not stage.repeats:
        return 0
    free = psutil.virtual_memory().available // 4
    room = min(MOST_BYTES, free) // processes
    return int(min(stage.distinct_views, room // view_bytes(images, size)))


def view_bytes(images: int, size: int) -> int:
    """Bytes of one view of all images, as ``Replay`` holds it."""
    return images * size * size * 3 * 4


def epochs_that_make(stage: StagePosition, kept: int) -> int:
    """Epochs whose views have to be made, where the first ``kept`` of them are held."""
    shown = [stage.view(epoch) for epoch in range(stage.epochs)]
    return len(set(shown)) + sum(view >= kept for view in shown[len(set(shown)) :])
