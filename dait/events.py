"""What the engine says while it works: small typed events, sent to an ``Emit`` callable.

The engine never prints. The command line, the run folder (``metrics.jsonl``, ``status.json``,
``log.txt``) and the app are sinks of these events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Note:
    """A sentence for the log."""

    text: str


@dataclass(frozen=True)
class Progress:
    """How far the work that runs now has come; ``done`` and ``total`` count ``unit``."""

    what: str
    done: int
    total: int
    unit: str = "images"


@dataclass(frozen=True)
class StageStarted:
    """A stage begins: ``index`` counts from 0 of ``count`` stages, ``steps`` optimiser steps.

    done: of these steps, those that a process before this one did.
    """

    name: str
    index: int
    count: int
    epochs: int
    steps: int
    done: int = 0


@dataclass(frozen=True)
class StageSkipped:
    """A stage (``index`` from 0) of ``steps`` steps was trained before, so it is not repeated."""

    name: str
    index: int
    count: int
    steps: int


@dataclass(frozen=True)
class StepDone:
    """One optimiser step; ``epoch`` (from 0) and ``step`` (from 1) count within the stage."""

    stage: str
    epoch: int
    step: int
    loss: float


@dataclass(frozen=True)
class EpochDone:
    """One epoch (``epoch`` from 0): mean training figures, validation top-1, images per second."""

    stage: str
    epoch: int
    epochs: int
    loss: float
    parts: dict[str, float] = field(default_factory=dict)
    val_top1: float = float("nan")
    val_loss: float = float("nan")
    learning_rate: float = 0.0
    images_per_second: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class StageDone:
    """A stage ended with this validation top-1 (fraction), of the weights that are kept."""

    name: str
    val_top1: float
    seconds: float


Event = Note | Progress | StageStarted | StageSkipped | StepDone | EpochDone | StageDone
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A sink that drops everything."""
