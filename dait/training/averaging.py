"""A moving average of the weights, which is what gets evaluated and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dait.tasks.base import Task


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
        """After optimiser step ``step`` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The task has the averaged weights meanwhile, and its own again afterwards."""
        own = {name: tensor.clone() for name, tensor in self._live.items()}
        self.keep()
        try:
            yield
        finally:
            _copy(own, self._live)

    def keep(self) -> None:
        """Give the task the averaged weights."""
        _copy(self.tensors, self._live)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from a checkpoint's ``tensors``."""
        _copy(tensors, self.tensors)


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
