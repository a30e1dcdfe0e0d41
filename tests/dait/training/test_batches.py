"""What a batch holds, and when it is made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from colours import Colours, Recorder, coarse, network, pixels

from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import ViewKind
from dait.data.stored import StoredImages
from dait.distributed import ALONE, World
from dait.errors import UserError
from dait.tasks.base import Batch
from dait.tasks.independent import IndependentTask
from dait.teachers.views import TeacherViews
from dait.training import batches as module
from dait.training.batches import Batches, balanced_order, in_advance, pieces
from dait.training.checks import check_training, check_validation
from dait.training.stage import StagePosition

CPU = torch.device("cpu")


def some(
    config: TrainConfig, train: int = 20, world: World = ALONE, teacher: Recorder | None = None
) -> Batches:
    data, task = Colours(train=train), IndependentTask(network(), "full")
    views = None
    if teacher is not None:
        task.needs_vlm = True  # type: ignore[misc]
        views = TeacherViews(teacher, data, ViewPolicy("full"), 3, live=True)
    return Batches(
        task, data.split("train"), config, StagePosition(0, 1, 2, seed=3), views, world, CPU
    )


def test_an_epoch_can_begin_anywhere() -> None:
    batches = some(TrainConfig(batch_size=6, mixup=1.0))
    whole = list(batches.epoch(1))
    assert batches.per_epoch == len(whole) == 3
    for first in range(4):
        rest = list(batches.epoch(1, first))
        assert len(rest) == 3 - first
        for one, other in zip(rest, whole[first:], strict=True):
            assert torch.equal(one.images, other.images) and torch.equal(one.shares, other.shares)


@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_a_batch(count: int) -> None:
    config = TrainConfig(batch_size=8)
    whole = list(some(config).epoch(0))
    parts = [list(some(config, world=World(k, count)).epoch(0)) for k in range(count)]
    for place, batch in enumerate(whole):
        joined = torch.cat([part[place].images for part in parts])
        assert torch.equal(joined, batch.images)
        assert torch.equal(torch.cat([part[place].labels for part in parts]), batch.labels)
        sizes = [len(part[place].labels) for part in parts]
        assert max(sizes) - min(sizes) <= 1


def test_a_live_teacher_sees_what_the_student_sees_mixed_or_not() -> None:
    for config in (TrainConfig(batch_size=6), TrainConfig(batch_size=6, cutmix=1.0)):
        teacher = Recorder()
        shown = list(some(config, teacher=teacher).epoch(0))
        assert [p for batch in shown for p in pixels(batch.images)] == teacher.seen
        for batch in shown:
            assert batch.vlm is not None
            assert torch.equal(batch.vlm, coarse(batch.images))


def test_kept_embeddings_are_of_unmixed_images() -> None:
    for name in ("mixup", "cutmix"):
        config = TrainConfig(**{name: 0.2})
        with pytest.raises(UserError, match=rf"train.{name} mixes .* views.cache to false.* to 0"):
            check_training(config, needs_vlm=True, cached=True)
        check_training(config, needs_vlm=True, cached=False)
        check_training(config, needs_vlm=False, cached=True)
    check_training(TrainConfig(), needs_vlm=True, cached=True)


def test_patience_needs_validation_images() -> None:
    with pytest.raises(UserError, match=r"train.patience .* the data has none. Set .* to 0"):
        check_validation(TrainConfig(patience=1), 0)
    check_validation(TrainConfig(patience=1), 1)
    check_validation(TrainConfig(), 0)


def test_classes_are_balanced() -> None:
    labels = np.array([0] * 50 + [1] * 7 + [2] * 3)
    order = balanced_order(labels, np.random.default_rng(0))
    assert len(order) == 60 and np.bincount(labels[order]).tolist() == [20, 20, 20]
    times = np.bincount(order, minlength=60)
    assert times[:50].max() == 1  # of a common class none comes twice while others wait
    assert set(times[50:57]) == {2, 3} and set(times[57:]) == {6, 7}
    assert len(np.unique(labels[order[:20]])) == 3  # not class by class
    other = balanced_order(labels, np.random.default_rng(1))
    assert not np.array_equal(order, other)
    odd = balanced_order(np.arange(7) % 2, np.random.default_rng(0))
    assert sorted(np.bincount(odd % 2)) == [3, 4]
    config = TrainConfig(batch_size=10, sampling="balanced")
    shown = torch.cat([batch.labels for batch in some(config).epoch(0)])
    assert shown.bincount().tolist() == [10, 10]


def test_pieces_are_the_batch() -> None:
    batch = Batch(torch.rand(7, 3, 4, 4), torch.arange(7), None, torch.rand(7, 2))
    for count in (1, 2, 3, 7, 20):
        parts = pieces(batch, count)
        assert len(parts) == min(count, 7) and all(part.vlm is None for part in parts)
        assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
        assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
        assert torch.equal(torch.cat([part.target for part in parts]), batch.target)
        sizes = [len(part.labels) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("processors", [1, 8])
def test_batches_are_made_in_order_and_faults_come_through(
    processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_processors", lambda: processors)
    threads: set[str] = set()

    def square(number: int) -> int:
        threads.add(threading.current_thread().name)
        if number == 50:
            raise UserError("fifty")
        return number**2

    assert list(in_advance(square, range(20), CPU)) == [k**2 for k in range(20)]
    assert any(name.startswith("batches") for name in threads) == (processors > 1)
    with pytest.raises(UserError, match="fifty"):
        list(in_advance(square, range(100), CPU))


def test_few_are_made_ahead_and_none_when_nobody_wants_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_processors", lambda: 8)
    made: list[int] = []
    stream: Iterator[None] = in_advance(made.append, range(1000), CPU)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert len(made) <= module.AHEAD + 1
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


@pytest.mark.parametrize("kind", ["original", "light"])
def test_views_are_cut_from_the_whole_images(kind: ViewKind) -> None:
    shapes = np.array([(40, 40), (40, 61), (55, 40), (40, 40)] * 5, np.int32)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, int(shapes.prod(axis=1).sum()) * 3, dtype=np.uint8)
    stored = StoredImages(noise, shapes, 32)
    split = replace(Colours(train=20).split("train"), images=stored.centres(), stored=stored)
    task, stage = IndependentTask(network(), kind), StagePosition(0, 1, 3, seed=3, distinct_views=1)
    batches = Batches(task, split, TrainConfig(batch_size=6), stage, None, ALONE, CPU)
    for epoch in (0, 1):  # made, and replayed
        for batch, index in zip(batches.epoch(epoch), orders(batches, epoch), strict=True):
            views = view_batch(stored[index], index, 0, ViewPolicy(kind), 3)
            assert torch.equal(batch.images.contiguous(), views.contiguous())


def orders(batches: Batches, epoch: int) -> list[np.ndarray]:
    order = batches._order(epoch)
    return [order[start : start + 6] for start in (0, 6, 12)]
