"""What a batch holds, and when it is made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from colours import Colours, Recorder, coarse, network, pixels
from torch import Tensor

from dait.config.train import TrainConfig
from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import ViewKind
from dait.data.stored import StoredImages
from dait.distributed import ALONE, World
from dait.errors import UserError
from dait.tasks.base import Batch
from dait.tasks.independent import IndependentTask
from dait.teachers.cache.views import TeacherViews
from dait.training import batches as module
from dait.training.batches import Batches, balanced_order, micro_batches, mix_images, prefetched
from dait.training.views import StagePosition

CPU = torch.device("cpu")


def some(
    config: TrainConfig, train: int = 20, world: World = ALONE, teacher: Recorder | None = None
) -> Batches:
    data, task = Colours(train=train), IndependentTask(network(), "full")
    views = None
    if teacher is not None:
        task.needs_vlm = True  # type: ignore[misc]
        views = TeacherViews(teacher, data, ViewPolicy("full", 3), live=True)
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
        parts = micro_batches(batch, count)
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
    monkeypatch.setattr(module, "processors", lambda: processors)
    threads: set[str] = set()

    def square(number: int) -> int:
        threads.add(threading.current_thread().name)
        if number == 50:
            raise UserError("fifty")
        return number**2

    assert list(prefetched(square, range(20), CPU)) == [k**2 for k in range(20)]
    assert any(name.startswith("batches") for name in threads) == (processors > 1)
    with pytest.raises(UserError, match="fifty"):
        list(prefetched(square, range(100), CPU))


def test_few_are_made_ahead_and_none_when_nobody_wants_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "processors", lambda: 8)
    made: list[int] = []
    stream: Iterator[None] = prefetched(made.append, range(1000), CPU)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert len(made) <= module.PREFETCH + 1
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
            views = view_batch(stored[index], index, 0, ViewPolicy(kind, 3))
            assert torch.equal(batch.images.contiguous(), views.contiguous())


def orders(batches: Batches, epoch: int) -> list[np.ndarray]:
    order = batches._order(epoch)
    return [order[start : start + 6] for start in (0, 6, 12)]


LABELS = torch.tensor([2, 0, 1, 1])
# Image k has the colour k + 1 all over, so that a pixel tells which images are in it.
IMAGES = (torch.arange(4.0) + 1).view(4, 1, 1, 1).expand(4, 3, 10, 10).contiguous()


def shares_in(images: Tensor, partner: np.ndarray) -> Tensor:
    """The share of its own image in each, from the mean of its pixels."""
    own, other = torch.arange(4.0) + 1, torch.from_numpy(partner) + 1.0
    found = (images.mean(dim=(1, 2, 3)) - other) / (own - other)
    return found[own != other]


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_shares_are_what_the_pixels_hold(name: str) -> None:
    config, seen = TrainConfig(**{name: 1.0}), []
    for seed in range(20):
        partner = np.random.default_rng(seed).permutation(4)
        images, shares = mix_images(IMAGES, LABELS, 3, config, np.random.default_rng(seed))
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
        found = shares_in(images, partner)
        if not len(found):
            continue
        share = found[0].item()
        seen.append(share)
        expected = torch.zeros(4, 3)
        for k in range(4):
            expected[k, LABELS[k]] += share
            expected[k, LABELS[partner[k]]] += 1 - share
        torch.testing.assert_close(shares, expected, rtol=0, atol=1e-5)
        whole = {float(value) for value in images.unique()} <= {1.0, 2.0, 3.0, 4.0}
        assert whole == (name == "cutmix" or share in (0, 1))
    assert min(seen) < 0.3 and max(seen) > 0.7  # Beta(1, 1) is even
    assert torch.equal(IMAGES.mean(dim=(1, 2, 3)), torch.arange(4.0) + 1)  # left as they were


def test_cutmix_pastes_one_rectangle_of_another_image() -> None:
    rng = np.random.default_rng(2)
    images, _ = mix_images(IMAGES, LABELS, 3, TrainConfig(cutmix=1.0), rng)
    for own, image in enumerate(images, start=1):
        assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])
        other = (image[0] != own).nonzero()
        if len(other):
            (top, left), (bottom, right) = other.min(dim=0).values, other.max(dim=0).values
            assert len(image[0][top : bottom + 1, left : right + 1].unique()) == 1


def test_a_coin_decides_between_the_two() -> None:
    config = TrainConfig(mixup=1.0, cutmix=1.0)
    pasted = 0
    for seed in range(40):
        images, _ = mix_images(IMAGES, LABELS, 3, config, np.random.default_rng(seed))
        pasted += {float(value) for value in images.unique()} <= {1.0, 2.0, 3.0, 4.0}
    assert 8 < pasted < 32
