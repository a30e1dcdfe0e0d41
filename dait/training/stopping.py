"""The best epoch on validation, and when there is no use in going on."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dait.tasks.base import Task


class BestEpoch:
    """Remembers the weights of the epoch with the best validation top-1, of equal ones the smaller
    loss. ``patience``: epochs without a better one after which a stage ends."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.epoch, self.figures = -1, (float("-inf"), float("-inf"))
        self.weights: dict[str, Tensor] = {}

    def see(self, epoch: int, top1: float, loss: float, task: Task) -> None:
        """After epoch ``epoch`` (from 0), with the weights in place that were measured."""
        if (top1, -loss) > self.figures:
            self.epoch, self.figures = epoch, (top1, -loss)
            self.weights = {name: tensor.clone() for name, tensor in task.state_dict().items()}

    def is_long_ago(self, epoch: int) -> bool:
        """Whether a stage ends with ``epoch``."""
        return epoch - self.epoch >= self.patience

    def restore(self, task: Task) -> None:
        """Give the task the best epoch's weights."""
        task.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"epoch": self.epoch, "figures": list(self.figures), "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        top1, loss = state["figures"]
        self.epoch, self.figures, self.weights = state["epoch"], (top1, loss), state["weights"]
