"""The batches of an epoch, in an order that the seed decides, loaded ahead of their use."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.config.train import TrainConfig
from dait.data.augmentation.photometric import sent
from dait.data.augmentation.views import ViewPolicy
from dait.data.base import UNLABELLED, Split
from dait.data.stored import Packed
from dait.distributed import World
from dait.models.network import NetworkOutput
from dait.storage.processors import processors
from dait.tasks.base import Batch, Task, TaughtTask
from dait.teachers.cache.views import TeacherViews
from dait.training.teacher_outputs import TeacherOutputs
from dait.training.views import StagePosition, TrainingViews

PREFETCH = 2
"""Batches that are ready, at most, while one is trained on."""

RECALIBRATION_BATCHES = 16

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Batches:
    """A stage's training images, batch by batch; this process's share of each.

    What a batch holds depends on the seed, the stage, the epoch and its place, and on nothing that
    went before, so that a stage can be resumed from any step. Where the task learns from the frozen
    teacher, student and teacher see the same views: those of ``vlm_views``.

    An epoch has as many batches as ``pool`` images make, by default one round of ``train``. Where
    unlabelled images are in the pool and not in ``train``, an epoch goes several times round
    ``train``, each round in a new order and with new views: so every arm takes the same number of
    steps (our choice; arms that distil would be trained longer otherwise).
    """

    task: Task
    train: Split
    config: TrainConfig
    stage: StagePosition
    vlm_views: TeacherViews | None
    world: World
    device: torch.device
    pool: int = 0

    @property
    def images(self) -> int:
        """Images of a batch, over all processes: all there are, where those are fewer."""
        return min(self.config.batch_size, len(self.train))

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch; a last one that is not full is left out."""
        return steps_of(self.pool or len(self.train), self.config.batch_size)

    @property
    def per_round(self) -> int:
        """Batches of a round of the images; a last one that is not full is left out."""
        return steps_of(len(self.train), self.config.batch_size)

    @cached_property
    def views(self) -> TrainingViews:
        """The augmented images. Raises ``ValueError`` if the teacher would see other views."""
        policy = ViewPolicy(self.task.views, self.stage.seed)
        if self.task.needs_vlm and self.vlm_views and self.vlm_views.policy != policy:
            raise ValueError(f"the teacher sees {self.vlm_views.policy}, the student {policy}")
        # It shows a view a round.
        rounds = rounds_of(self.stage.epochs, self.per_epoch, self.per_round)
        stage = replace(self.stage, epochs=rounds)
        return TrainingViews(self.train, policy, stage, self.device, self.world.size)

    def epoch(self, epoch: int, first: int = 0) -> Generator[Batch, None, None]:
        """The batches of ``epoch`` from the one in place ``first``. To be closed when it is left:
        it may have a thread of its own."""
        parts = list(self._parts(epoch, first))

        def load(part: tuple[np.ndarray, int]) -> Tensor | Packed:
            return self.views.load(*part)

        for place, loaded in enumerate(prefetched(load, parts, self.device)):
            index, view = parts[place]
            images = self.views.finish(loaded, index, view)
            yield self._batch(images, index, view, [epoch, 1 + first + place])

    def _parts(self, epoch: int, first: int) -> Iterator[tuple[np.ndarray, int]]:
        """Of every batch of an epoch, this process's images ``(b,)`` and their view."""
        begun = -1
        for step in range(epoch * self.per_epoch + first, (epoch + 1) * self.per_epoch):
            turn, place = divmod(step, self.per_round)
            if turn != begun:
                order, begun = self._order(turn), turn
            some = order[place * self.images : (place + 1) * self.images]
            yield np.array_split(some, self.world.size)[self.world.rank], self.stage.view(turn)

    def for_statistics(self) -> Iterator[Tensor]:
        """Some training views, to estimate BatchNorm's statistics from."""
        order = self._rng(self.stage.epochs).permutation(len(self.train))
        count = min(RECALIBRATION_BATCHES, self.per_round)
        for index in np.array_split(order[: count * self.config.batch_size], count):
            yield self.views.finish(self.views.load(index, 0), index, 0)

    def _order(self, turn: int) -> np.ndarray:
        """Of a round of the images, counted from the stage's first."""
        rng = self._rng(turn)
        if self.config.sampling == "balanced":
            return balanced_order(np.asarray(self.train.labels), rng)
        return rng.permutation(len(self.train))

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.stage.seed, self.stage.index, *key])

    def _batch(self, images: Tensor, index: np.ndarray, view: int, key: list[int]) -> Batch:
        labels, shares = sent(torch.as_tensor(self.train.labels[index]), self.device), None
        if self.config.mixes:
            # A process mixes its own images, so this is the one thing that their number changes.
            rng, classes = self._rng(*key, self.world.rank), self.task.network.num_classes
            images, shares = mix_images(images, labels, classes, self.config, rng)
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        vlm = None
        if self.task.needs_vlm and self.vlm_views is not None:
            vlm = sent(self.vlm_views.rows(view, index, images), self.device)
        taught = None
        if self._teacher_outputs is not None:
            taught = self._teacher_outputs.rows(view, index)
        return Batch(images, labels, vlm, shares, taught)

    @cached_property
    def _teacher_outputs(self) -> TeacherOutputs | None:
        """Of a trained teacher that sees views again; mixed images come but once."""
        task = self.task
        if not isinstance(task, TaughtTask) or not task.teacher_outputs or self.config.mixes:
            return None
        return TeacherOutputs(task, self.views, self.config)


def steps_of(images: int, batch_size: int) -> int:
    """Batches of a round of so many images; a last one that is not full is left out."""
    return images // min(batch_size, images)


def rounds_of(epochs: int, per_epoch: int, per_round: int) -> int:
    """Rounds of the images that so many epochs begin, from batches per epoch and per round."""
    return -(-epochs * per_epoch // per_round)


def balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many image indices as there are labels ``(N,)``, every class equally often.

    Within an epoch a rare class's images come again and again, a common one's only in part.
    Unlabelled images come once each.
    """
    labelled = np.flatnonzero(labels != UNLABELLED)
    classes = rng.permutation(np.unique(labels[labelled]))
    sizes = [len(part) for part in np.array_split(np.arange(len(labelled)), len(classes))]
    drawn = [
        np.resize(rng.permutation(np.flatnonzero(labels == label)), size)
        for label, size in zip(classes, sizes, strict=True)
    ]
    return rng.permutation(np.concatenate([*drawn, np.flatnonzero(labels == UNLABELLED)]))


def mix_images(
    images: Tensor,
    labels: Tensor,
    classes: int,
    config: TrainConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Every image ``(B, 3, S, S)`` mixed with another of the batch, and the classes' shares.

    mixup (Zhang et al. 2018) blends the two; CutMix (Yun et al. 2019) pastes a rectangle of one
    into the other. The share is drawn once for the batch, from Beta(α, α); where both are on, a
    coin is thrown. Returns the images and the shares ``(B, classes)``, which sum to 1.
    """
    partner = sent(torch.from_numpy(rng.permutation(len(images))), images.device)
    cut = config.cutmix > 0 and (not config.mixup or rng.random() < 0.5)
    alpha = config.cutmix if cut else config.mixup
    share = float(rng.beta(alpha, alpha))
    if cut:
        images, share = _pasted(images, partner, share, rng)
    else:
        images = images * share + images[partner] * (1 - share)
    one = F.one_hot(labels, classes).float()
    return images, one * share + one[partner.to(one.device)] * (1 - share)


def _pasted(
    images: Tensor, partner: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """A rectangle of ``1 - share`` of the area, less what lies beyond the edge; the share left."""
    size, half = images.shape[-1], images.shape[-1] * math.sqrt(1 - share) / 2
    x, y = rng.uniform(0, size, 2)
    left, right = (round(min(max(edge, 0), size)) for edge in (x - half, x + half))
    top, bottom = (round(min(max(edge, 0), size)) for edge in (y - half, y + half))
    images = images.clone()
    images[:, :, top:bottom, left:right] = images[partner][:, :, top:bottom, left:right]
    return images, 1 - (right - left) * (bottom - top) / size**2


def micro_batches(batch: Batch, count: int) -> list[Batch]:
    """The batch in ``count`` parts, or as many as it has images."""
    if count == 1:
        return [batch]
    count = min(count, len(batch.labels))
    columns = [
        [None] * count if tensor is None else list(torch.tensor_split(tensor, count))
        for tensor in (batch.images, batch.labels, batch.vlm, batch.shares)
    ]
    taught: list[NetworkOutput | None] = [None] * count
    if batch.taught is not None:
        outputs = [torch.tensor_split(tensor, count) for tensor in batch.taught]
        taught = [NetworkOutput(*piece) for piece in zip(*outputs, strict=True)]
    pieces = zip(*columns, taught, strict=True)
    return [Batch(*piece) for piece in pieces]  # type: ignore[arg-type]


def prefetched(
    make: Callable[[Item], Made], items: Iterable[Item], device: torch.device
) -> Iterator[Made]:
    """``make(item)`` for every item, made in a thread while earlier ones are used.

    In the caller's own thread where the training has every processor already: a third thread on
    two processors makes each of two wait for it in turn.
    """
    if device.type == "cpu" and torch.get_num_threads() >= processors():
        yield from map(make, items)
        return
    worker, waiting = ThreadPoolExecutor(1, thread_name_prefix="batches"), deque[Future[Made]]()
    try:
        for item in items:
            waiting.append(worker.submit(make, item))
            if len(waiting) > PREFETCH:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        worker.shutdown(cancel_futures=True)
