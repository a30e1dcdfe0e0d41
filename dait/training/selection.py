"""What a stage ends with: averaged weights or those of its best epoch, and heads mixed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dait.models.heads import MIXED, HeadMix, best_mix
from dait.tasks.base import Task
from dait.training.inference import Predictions


@torch.no_grad()
def chosen_mix(task: Task, predictions: Predictions, labels: Tensor) -> HeadMix | None:
    """The two heads of ``task``, mixed as the validation split likes it best.

    predictions: of the network's own head on that split; labels: ``(N,)``. None where the network's
    own head answers alone. The second head is a copy, on the predictions' device.
    """
    second = None if task.head == "own" else task.second_head()
    if second is None:
        return None
    second = copy.deepcopy(second).to(predictions.pooled.device).eval().requires_grad_(False)
    weights = MIXED if task.head == "both" else (0.0,)
    if not len(labels):
        return HeadMix(second, own_weight=0.5 if task.head == "both" else 0.0)
    found = best_mix(predictions.logits, second(predictions.pooled), labels, weights)
    return HeadMix(second, *found)


class Average:
    """An exponential moving average of all that a task learns, BatchNorm's statistics included.

    decay: what is left of the average after a step. In the first steps it is smaller,
    ``(1 + step) / (10 + step)``, so that the initial weights are soon forgotten (as in TensorFlow's
    ``ExponentialMovingAverage``).
    """

    def __init__(self, task: Task, decay: float) -> None:
        self.decay = decay
        self._live = {k: v for k, v in task.state_dict().items() if v.is_floating_point()}
        self.tensors = {name: tensor.clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Average in the weights after optimiser step ``step`` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Give the task the averaged weights within the block, and its own again afterwards."""
        own = {name: tensor.clone() for name, tensor in self._live.items()}
        self.copy_to_task()
        try:
            yield
        finally:
            _copy(own, self._live)

    def copy_to_task(self) -> None:
        """Give the task the averaged weights."""
        _copy(self.tensors, self._live)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the ``tensors`` of a checkpoint."""
        _copy(tensors, self.tensors)


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])


class BestEpoch:
    """The weights of the epoch with the best validation top-1; among equals, the smallest loss.

    patience: epochs without a better one after which training stops.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.epoch, self.figures = -1, (float("-inf"), float("-inf"))
        self.weights: dict[str, Tensor] = {}

    def update(self, epoch: int, top1: float, loss: float, task: Task) -> None:
        """Compare epoch ``epoch`` (from 0); the task has the weights that were measured."""
        if (top1, -loss) > self.figures:
            self.epoch, self.figures = epoch, (top1, -loss)
            self.weights = {name: tensor.clone() for name, tensor in task.state_dict().items()}

    def should_stop(self, epoch: int) -> bool:
        """Whether training ends after ``epoch``."""
        return epoch - self.epoch >= self.patience

    def restore(self, task: Task) -> None:
        """Give the task the best epoch's weights."""
        task.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"epoch": self.epoch, "figures": list(self.figures), "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        top1, loss = state["figures"]
        self.epoch, self.figures, self.weights = state["epoch"], (top1, loss), state["weights"]
