"""A view that comes again is copied from memory, and nothing but the time shows it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from colours import Colours, network
from torch import Tensor

from dait.config.train import TrainConfig
from dait.data.base import ViewKind
from dait.distributed import ALONE
from dait.events import ignore
from dait.tasks.independent import IndependentTask
from dait.training import views as module
from dait.training.batches import Batches
from dait.training.loop import train_stage
from dait.training.views import Replay, StagePosition, epochs_that_make, view_bytes, views_to_keep

CPU = torch.device("cpu")
FOUR_OF_TEN = StagePosition(0, 1, 10, seed=0, distinct_views=4)


def views(index: np.ndarray, view: int) -> Tensor:
    """Of images of 2 pixels a side: each has its number and its view's everywhere."""
    values = torch.from_numpy(index + 100.0 * view).float()
    return values[:, None, None, None].expand(-1, 3, 2, 2).contiguous()


def test_a_view_is_made_once() -> None:
    replay, made = Replay(images=6, size=2, views=2), list[tuple[list[int], int]]()

    def shown(images: list[int], view: int) -> Tensor:
        index = np.array(images)

        def make() -> Tensor:
            made.append((images, view))
            return views(index, view)

        pixels = replay.pixels(index, view, make)
        assert torch.equal(pixels, views(index, view))
        return pixels

    shown([4, 0, 2], 0)
    pixels = shown([2, 4], 0)
    assert made == [([4, 0, 2], 0)]
    pixels += 1  # a copy: whoever mixes images may write to it
    shown([2, 4], 0)
    shown([2, 4], 1)  # another view
    shown([0, 1], 0)  # one of them is new
    shown([1], 0)
    shown([1], 2)  # beyond what is held
    shown([1], 2)
    assert made == [([4, 0, 2], 0), ([2, 4], 1), ([0, 1], 0), ([1], 2), ([1], 2)]


@pytest.mark.parametrize("kind", ["light", "full"])
def test_a_training_with_replayed_views_ends_in_the_same_weights(
    kind: ViewKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[int]()
    real = module.view_batch

    def counted(stored: np.ndarray, *args: object, **options: object) -> Tensor:
        made.append(len(stored))
        return real(stored, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "view_batch", counted)

    def trained(most_bytes: int) -> tuple[dict[str, Tensor], int]:
        monkeypatch.setattr(module, "MOST_BYTES", most_bytes)
        torch.manual_seed(0)
        task, stage = (
            IndependentTask(network(), kind),
            StagePosition(0, 1, 6, seed=0, distinct_views=2),
        )
        config = TrainConfig(batch_size=8, mixup=0.5)
        made.clear()
        train_stage(task, Colours(train=16), config, stage, None, ignore)
        return task.state_dict(), sum(made)

    anew, all_made = trained(0)
    again, few_made = trained(1 << 30)
    assert anew.keys() == again.keys()
    assert all(torch.equal(anew[name], again[name]) for name in anew)
    statistics = 16  # BatchNorm's, of view 0 in batches of their own
    assert (all_made, few_made) == (6 * 16 + statistics, 2 * 16)


def test_as_many_views_are_held_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def held(
        stage: StagePosition = FOUR_OF_TEN, kind: ViewKind = "light", processes: int = 1
    ) -> int:
        return views_to_keep(kind, stage, 100, 32, CPU, processes)

    one = view_bytes(100, 32)
    assert one == 100 * 3 * 32 * 32 * 4
    assert held() == 4
    monkeypatch.setattr(module, "MOST_BYTES", 3 * one + 1)
    assert held() == 3
    assert held(processes=2) == 1
    free = SimpleNamespace(available=8 * one)  # a quarter of it is two views
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: free)
    assert held() == 2


@pytest.mark.parametrize(
    ("stage", "kind", "device"),
    [
        (StagePosition(0, 1, 4, 0, distinct_views=4), "light", CPU),  # none is shown twice
        (StagePosition(0, 1, 4, 0, distinct_views=0), "light", CPU),
        (FOUR_OF_TEN, "original", CPU),
        (FOUR_OF_TEN, "light", torch.device("cuda")),
    ],
)
def test_nothing_is_held_that_is_of_no_use(
    stage: StagePosition, kind: ViewKind, device: torch.device
) -> None:
    assert views_to_keep(kind, stage, 10, 32, device) == 0


@pytest.mark.parametrize(
    ("epochs", "distinct", "held", "making"),
    [(10, 4, 4, 4), (10, 4, 0, 10), (10, 4, 1, 8), (10, 0, 0, 10), (3, 4, 0, 3), (9, 1, 1, 1)],
)
def test_how_many_epochs_make_their_views(
    epochs: int, distinct: int, held: int, making: int
) -> None:
    assert epochs_that_make(StagePosition(0, 1, epochs, 0, distinct), held) == making


def test_a_batch_is_made_again_bit_for_bit() -> None:
    task, data = IndependentTask(network(), "full"), Colours(train=12)
    config, stage = TrainConfig(batch_size=4), StagePosition(0, 1, 6, seed=1, distinct_views=2)
    batches = Batches(task, data.split("train"), config, stage, None, ALONE, CPU)
    list(batches.epoch(0)), list(batches.epoch(1))
    for epoch in (2, 3):
        fresh = Batches(task, data.split("train"), config, stage, None, ALONE, CPU)
        for one, other in zip(batches.epoch(epoch), fresh.epoch(epoch), strict=True):
            assert torch.equal(one.images, other.images)
            assert one.images.stride() == other.images.stride()
