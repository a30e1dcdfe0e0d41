"""The moving average of the weights."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from colours import Colours, network
from torch import Tensor

from dait.config.train import TrainConfig
from dait.events import EpochDone, Event, Note, StageDone, ignore
from dait.tasks.base import Batch, TaskOutput
from dait.tasks.independent import IndependentTask
from dait.training.inference import predict_split
from dait.training.loop import train_stage
from dait.training.selection import Average, BestEpoch
from dait.training.views import StagePosition

DECAY = 0.5
CONFIG = TrainConfig(batch_size=8, ema_decay=DECAY, warmup_epochs=0)


class Remembering(IndependentTask):
    """Keeps its head's bias as it is before every step."""

    def forward(self, batch: Batch) -> TaskOutput:
        bias = self.network.model.get_classifier().bias
        self.biases = [*getattr(self, "biases", []), bias.detach().clone()]
        return super().forward(batch)


def test_an_average_by_hand() -> None:
    task = IndependentTask(network(), "full")
    average = Average(task, 0.9)
    bias = task.network.model.get_classifier().bias
    start = bias.detach().clone()
    with torch.no_grad():
        bias += 1.0
    average.update(1)  # 2 / 11 are left of the start, since that is less than 0.9
    expected = start * 2 / 11 + (start + 1) * 9 / 11
    with average.swapped_in():
        torch.testing.assert_close(bias.detach(), expected)
    assert torch.equal(bias.detach(), start + 1)
    average.update(1_000)
    expected = 0.9 * expected + 0.1 * (start + 1)
    average.copy_to_task()
    torch.testing.assert_close(bias.detach(), expected)


def test_the_average_of_all_steps_is_kept() -> None:
    task = Remembering(network(), "light")
    train_stage(task, Colours(), CONFIG, StagePosition(0, 1, 2, seed=0), None, ignore)
    # All but the last step's weights were seen; the last is told apart from them.
    start, *after = task.biases
    kept = start
    for step, bias in enumerate(after, start=1):
        decay = min(DECAY, (1 + step) / (10 + step))
        kept = decay * kept + (1 - decay) * bias
    final = task.network.model.get_classifier().bias.detach()
    decay = min(DECAY, 9 / 18)
    last = (final - decay * kept) / (1 - decay)
    # What the last step's weights must have been lies a learning rate's length from those before.
    assert (last - after[-1]).abs().max() < 3 * CONFIG.learning_rate
    assert not torch.equal(final, after[-1])


def test_what_is_validated_is_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data, events = Colours(), list[Event]()
    monkeypatch.setattr("dait.training.loop.FEW_STEPS", 0)
    task = IndependentTask(network(), "light")
    found = train_stage(task, data, CONFIG, StagePosition(0, 1, 3, seed=0), None, events.append)
    val = data.split("val")
    labels = torch.tensor(val.labels)
    last = [event for event in events if isinstance(event, EpochDone)][-1]
    seen = predict_split(task.network, val)
    assert found == last.val_top1 == seen.top1(labels) and last.val_loss == seen.loss(labels)


def test_averaging_does_not_change_the_training() -> None:
    def losses(decay: float) -> list[float]:
        config, events = CONFIG.model_copy(update={"ema_decay": decay}), list[Event]()
        task = IndependentTask(network(), "light")
        train_stage(task, Colours(), config, StagePosition(0, 1, 2, seed=0), None, events.append)
        return [event.loss for event in events if isinstance(event, EpochDone)]

    assert losses(0.9) == losses(0.0)


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
        best.update(epoch, top1, loss, task)
        leading.append(best.epoch)
    assert leading == [0, 1, 1, 1, 1]
    assert [best.should_stop(epoch) for epoch in range(1, 5)] == [False, False, True, True]
    assert all(later >= earlier for earlier, later in pairwise(leading))
