"""The best epoch on validation is kept, and no more epochs are trained than it takes."""

from __future__ import annotations

from itertools import pairwise

import torch
from colours import Colours, network
from torch import Tensor

from dait.config.train import TrainConfig
from dait.events import EpochDone, Event, Note, StageDone
from dait.tasks.independent import IndependentTask
from dait.training.inference import predict_split
from dait.training.loop import train_stage
from dait.training.stage import StagePosition
from dait.training.stopping import BestEpoch


class Numbered(IndependentTask):
    """Keeps its weights as they are when each epoch begins."""

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        weight = self.network.model.get_classifier().weight.detach().clone()
        self.starts: list[Tensor] = [*getattr(self, "starts", []), weight]


def test_the_best_epoch_is_kept() -> None:
    data, events = Colours(), list[Event]()
    # A learning rate that learns quickly and then wanders about.
    config = TrainConfig(
        batch_size=8, schedule="constant", learning_rate=0.05, warmup_epochs=0, patience=3
    )
    task = Numbered(network(), "light")
    found = train_stage(task, data, config, StagePosition(0, 1, 40, seed=0), None, events.append)
    epochs = [event for event in events if isinstance(event, EpochDone)]
    figures = [(event.val_top1, -event.val_loss) for event in epochs]
    best = figures.index(max(figures))
    assert len(epochs) == best + 1 + 3 < 40
    kept = task.network.model.get_classifier().weight.detach()
    assert torch.equal(kept, task.starts[best + 1])
    assert any(
        isinstance(event, Note) and f"no epoch since {best + 1} was better" in event.text
        for event in events
    )
    labels = torch.tensor(data.split("val").labels)
    assert found == predict_split(task.network, data.split("val")).top1(labels)
    last = events[-1]
    assert isinstance(last, StageDone) and last.val_top1 == found


def test_of_equal_figures_the_smaller_loss_and_then_the_first_counts() -> None:
    task, best = IndependentTask(network(), "light"), BestEpoch(2)
    seen = [(0.5, 1.0), (0.5, 0.9), (0.5, 0.9), (0.4, 0.1), (0.5, 0.95)]
    leading = []
    for epoch, (top1, loss) in enumerate(seen):
        best.see(epoch, top1, loss, task)
        leading.append(best.epoch)
    assert leading == [0, 1, 1, 1, 1]
    assert [best.is_long_ago(epoch) for epoch in range(1, 5)] == [False, False, True, True]
    assert all(later >= earlier for earlier, later in pairwise(leading))
