"""A trained teacher's outputs are computed once a view, and the student's weights are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from colours import Colours, network
from torch import Tensor

from dait.config.arms import DaitConfig, KdConfig
from dait.config.train import TrainConfig
from dait.events import ignore
from dait.models.network import Network, NetworkOutput
from dait.tasks.base import Batch, TaughtTask
from dait.tasks.distil import DistilTask
from dait.tasks.logits import LogitTask
from dait.training import teacher_outputs as module
from dait.training.batches import micro_batches
from dait.training.loop import train_stage
from dait.training.views import StagePosition

IMAGES, VIEWS, EPOCHS = 20, 2, 6


def distil(teacher: Network) -> TaughtTask:
    return DistilTask(network(), "light", teacher, DaitConfig(spatial_weight=5, logit_weight=1))


def kd(teacher: Network) -> TaughtTask:
    return LogitTask(network(), "light", teacher, KdConfig())


Trained = tuple[dict[str, Tensor], int]


def trained(
    make: Callable[[Network], TaughtTask], config: TrainConfig, views: int = VIEWS
) -> Trained:
    """The student's weights, and how many images the teacher was asked about."""
    torch.manual_seed(0)
    teacher, asked = network(), list[int]()
    teacher.register_forward_hook(lambda _, inputs, __: asked.append(len(inputs[0])))
    task = make(teacher)
    stage = StagePosition(0, 1, EPOCHS, seed=0, distinct_views=views)
    train_stage(task, Colours(train=IMAGES), config, stage, None, ignore)
    return task.state_dict(), sum(asked)


@pytest.mark.parametrize("make", [distil, kd])
@pytest.mark.parametrize("changes", [{}, {"accumulation": 3}, {"channels_last": True}])
def test_held_outputs_change_no_weight(
    make: Callable[[Network], TaughtTask],
    changes: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The last images of a view are fewer than a batch, and an epoch leaves some out.
    config = TrainConfig(batch_size=8).model_copy(update=changes)
    held, few = trained(make, config)
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    anew, all_of_them = trained(make, config)
    assert held.keys() == anew.keys()
    assert all(torch.equal(held[name], anew[name]) for name in held)
    assert all_of_them >= EPOCHS * 16 and few <= VIEWS * 24 + 1


def test_views_that_come_once_and_mixed_images_are_asked_about_every_time() -> None:
    config = TrainConfig(batch_size=8)
    assert trained(kd, config, views=0)[1] == EPOCHS * 16
    assert trained(kd, config.model_copy(update={"mixup": 0.5}))[1] == EPOCHS * 16


def test_a_part_of_a_batch_has_its_part_of_the_outputs() -> None:
    images, labels = torch.rand(5, 3, 4, 4), torch.arange(5)
    taught = NetworkOutput(torch.rand(5, 2, 1, 1), torch.empty(5, 0), torch.rand(5, 3))
    parts = micro_batches(Batch(images, labels, taught=taught), 2)
    assert [len(part.labels) for part in parts] == [3, 2]
    for number, part in zip((0, 3), parts, strict=True):
        assert part.taught is not None
        assert torch.equal(part.taught.logits, taught.logits[number : number + len(part.labels)])
    whole = replace(Batch(images, labels), taught=None)
    assert all(part.taught is None for part in micro_batches(whole, 2))
