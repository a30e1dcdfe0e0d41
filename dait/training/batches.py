"""The batches of an epoch, in an order that the seed decides, each made while another is used."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dait.config.train import TrainConfig
from dait.data.augmentation.photometric import sent
from dait.data.augmentation.views import ViewPolicy, pinned, view_batch
from dait.data.base import Split
from dait.data.stored import Packed
from dait.distributed import World
from dait.tasks.base import Batch, Task
from dait.teachers.views import TeacherViews
from dait.training.mixing import mixed
from dait.training.replay import Replay, views_to_keep
from dait.training.stage import StagePosition

AHEAD = 2
"""Batches that wait, made, while one is trained on."""

RECALIBRATION_BATCHES = 16

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Batches:
    """A stage's training images, batch by batch; this process's share of each.

    What a batch holds depends on the seed, the stage, the epoch and its place, and on nothing that
    went before, so that a stage can go on from any step.
    """

    task: Task
    train: Split
    config: TrainConfig
    stage: StagePosition
    vlm_views: TeacherViews | None
    world: World
    device: torch.device

    @property
    def images(self) -> int:
        """Of a batch, over all processes: as many as there are, where those fill none."""
        return min(self.config.batch_size, len(self.train))

    @property
    def per_epoch(self) -> int:
        """Batches; a last one that is not full is left out."""
        return len(self.train) // self.images

    def epoch(self, epoch: int, first: int = 0) -> Generator[Batch, None, None]:
        """The batches of ``epoch`` from the one in place ``first``. To be closed when it is left:
        it may have a thread of its own."""
        order, view = self._order(epoch), self.stage.view(epoch)
        parts = [
            np.array_split(order[start : start + self.images], self.world.size)[self.world.rank]
            for start in range(0, self.per_epoch * self.images, self.images)
        ]

        def make(index: np.ndarray) -> Tensor | Packed:
            return self._pixels(index, view)

        for place, images in enumerate(in_advance(make, parts[first:], self.device), start=first):
            yield self._batch(images, parts[place], view, [epoch, 1 + place])

    def for_statistics(self) -> Iterator[Tensor]:
        """Some training views, to estimate BatchNorm's statistics from."""
        order = self._rng(self.stage.epochs).permutation(len(self.train))
        count = min(RECALIBRATION_BATCHES, self.per_epoch)
        for part in np.array_split(order[: count * self.config.batch_size], count):
            yield self._on_device(self._pixels(part, 0), part, 0)

    def _order(self, epoch: int) -> np.ndarray:
        rng = self._rng(epoch)
        if self.config.sampling == "balanced":
            return balanced_order(np.asarray(self.train.labels), rng)
        return rng.permutation(len(self.train))

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.stage.seed, self.stage.index, *key])

    def _pixels(self, index: np.ndarray, view: int) -> Tensor | Packed:
        """The views of these images; for an NVIDIA GPU, which makes the views, their pixels."""
        if self.device.type == "cuda":
            return pinned(self._whole(index))
        make = partial(self._made, index, view)
        return self._replay.pixels(index, view, make)

    def _made(self, index: np.ndarray, view: int) -> Tensor:
        return self._views(self._whole(index), index, view)

    def _whole(self, index: np.ndarray) -> np.ndarray | Packed:
        return (self.train.images if self.task.views == "original" else self.train.uncropped)[index]

    @cached_property
    def _replay(self) -> Replay:
        images, size = self.train.images.shape[:2]
        kind, world = self.task.views, self.world
        views = views_to_keep(kind, self.stage, images, size, self.device, world.size)
        return Replay(images, size, views)

    def _on_device(self, made: Tensor | Packed, index: np.ndarray, view: int) -> Tensor:
        if isinstance(made, Tensor):
            return made.to(self.device)
        return self._views(made, index, view)

    def _views(self, stored: np.ndarray | Packed, index: np.ndarray, view: int) -> Tensor:
        policy, place = ViewPolicy(self.task.views), self.device
        makes = place if place.type == "cuda" else None
        return view_batch(stored, index, view, policy, self.stage.seed, device=makes)

    def _batch(self, made: Tensor | Packed, index: np.ndarray, view: int, key: list[int]) -> Batch:
        images, shares = self._on_device(made, index, view), None
        labels = sent(torch.as_tensor(self.train.labels[index]), self.device)
        if self.config.mixes:
            # A process mixes its own images, so this is the one thing that their number changes.
            rng, classes = self._rng(*key, self.world.rank), self.task.network.num_classes
            images, shares = mixed(images, labels, classes, self.config, rng)
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        vlm = None
        if self.task.needs_vlm and self.vlm_views is not None:
            vlm = sent(self.vlm_views.rows(view, index, images), self.device)
        return Batch(images, labels, vlm, shares)


def balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many image indices as there are labels ``(N,)``, every class equally often.

    Within an epoch a rare class's images come again and again, a common one's only in part.
    """
    classes = rng.permutation(np.unique(labels))
    sizes = [len(part) for part in np.array_split(np.arange(len(labels)), len(classes))]
    drawn = [
        np.resize(rng.permutation(np.flatnonzero(labels == label)), size)
        for label, size in zip(classes, sizes, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))


def pieces(batch: Batch, count: int) -> list[Batch]:
    """The batch in ``count`` pieces, or as many as it has images."""
    if count == 1:
        return [batch]
    count = min(count, len(batch.labels))
    columns = [
        [None] * count if tensor is None else list(torch.tensor_split(tensor, count))
        for tensor in (batch.images, batch.labels, batch.vlm, batch.shares)
    ]
    return [Batch(*piece) for piece in zip(*columns, strict=True)]  # type: ignore[arg-type]


def in_advance(
    make: Callable[[Item], Made], items: Iterable[Item], device: torch.device
) -> Iterator[Made]:
    """``make(item)`` for every item, made in a thread while earlier ones are used.

    In the caller's own thread where the training has every processor already: a third thread on
    two processors makes each of two wait for it in turn.
    """
    if device.type == "cpu" and torch.get_num_threads() >= _processors():
        yield from map(make, items)
        return
    worker, waiting = ThreadPoolExecutor(1, thread_name_prefix="batches"), deque[Future[Made]]()
    try:
        for item in items:
            waiting.append(worker.submit(make, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        worker.shutdown(cancel_futures=True)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
