"""Everything that a stage needs to be resumed at a step as if it had never stopped."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from dait.distributed import device
from dait.tasks.base import Task
from dait.training.selection import Average, BestEpoch
from dait.training.step import Step


@dataclass
class LoopState:
    """Every number of the loop. ``epoch`` and its ``steps`` are what comes next, from 0.

    step: optimiser steps of the stage so far; sums: of the epoch's losses, by name, weighted by
    ``images``; seconds: of the stage, epoch_seconds: of the epoch's steps.
    """

    epoch: int = 0
    step: int = 0
    steps_in_epoch: int = 0
    images: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    val_top1: float = math.nan
    done: bool = False

    def count(self, values: dict[str, float], images: int, rate: float, seconds: float) -> None:
        """One step more."""
        self.step += 1
        self.steps_in_epoch += 1
        self.images += images
        self.rate = rate
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * images
        self.epoch_seconds += seconds
        self.seconds += seconds

    def means(self) -> dict[str, float]:
        """The epoch's mean loss and parts."""
        return {name: total / self.images for name, total in self.sums.items()}

    def begin_next_epoch(self, seconds: float) -> None:
        """The epoch is over; ``seconds`` have passed since its last step."""
        self.seconds += seconds
        self.epoch += 1
        self.steps_in_epoch = self.images = 0
        self.sums, self.epoch_seconds = {}, 0.0


@dataclass
class TrainingState:
    """A stage in training: its task, optimiser, kept weights, and the numbers of the loop."""

    task: Task
    step: Step
    average: Average | None
    best: BestEpoch | None
    loop: LoopState = field(default_factory=LoopState)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: tensors, numbers, text, and lists and dictionaries of them."""
        accelerator = _accelerator()
        return {
            "loop_state": asdict(self.loop),
            "task": self.task.state_dict(),
            "optimizer": self.step.optimizer.state_dict(),
            "scaler": self.step.scaler.state_dict(),
            "average": self.average.tensors if self.average else {},
            "best": self.best.state_dict() if self.best else {},
            "random": torch.get_rng_state(),
            "random_device": accelerator.get_rng_state() if accelerator else torch.empty(0),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self.loop = LoopState(**state["loop_state"])
        self.task.load_state_dict(state["task"])
        self.step.optimizer.load_state_dict(state["optimizer"])
        self.step.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.load(state["average"])
        if self.best:
            self.best.load_state_dict(state["best"])
        torch.set_rng_state(state["random"])
        # Checkpoints of versions before 0.2 call it after the only one that they knew.
        kept = state["random_device"] if "random_device" in state else state["random_cuda"]
        if (accelerator := _accelerator()) and kept.numel():
            accelerator.set_rng_state(kept)


def _accelerator() -> Any:
    """The module of torch whose device draws random numbers of its own; None on a CPU."""
    kind = device().type
    return None if kind == "cpu" else getattr(torch, kind)
