"""Trainings by steps and not by epochs, with the engine's own step, schedule and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dait.config.train import TrainConfig
from dait.distributed import ALONE, device
from dait.events import Emit, Note, Progress
from dait.tasks.base import Batch, Task
from dait.training.checkpoint import StepCheckpoints
from dait.training.optimizer import warmup_cosine
from dait.training.resume import Resume
from dait.training.state import LoopState, TrainingState
from dait.training.step import Step


def train_steps(
    task: Task,
    batch: Callable[[int], Batch],
    config: TrainConfig,
    steps: int,
    warmup: int,
    emit: Emit,
    after_step: Callable[[LoopState], None] = lambda loop: None,
    checkpoints: StepCheckpoints | None = None,
    fingerprint: dict[str, dict[str, Any]] | None = None,
) -> LoopState:
    """Train ``task`` in place, on ``device()``, for ``steps`` optimiser steps.

    batch: the batch of a step (from 0), on the device. after_step: is called before the state is
    saved; the loop's means are of the steps since the last checkpoint. fingerprint: what a
    checkpoint must agree in to be resumed. Raises ``UserError`` where it does not, and where the
    loss is not finite.
    """
    step = Step(task.to(device()), config, ALONE, device())
    state = TrainingState(task, step, average=None, best=None)
    resume = Resume(state, checkpoints, fingerprint or {}, ALONE)
    resume.restore(emit)
    loop = state.loop
    if loop.step:
        emit(Note(f"{task.stage}: resumed after step {loop.step:,}"))
    task.train()
    while loop.step < steps:
        if checkpoints and checkpoints.is_due(loop.step):
            loop.begin_next_epoch(0.0)
        started, images = time.monotonic(), batch(loop.step)
        rate = warmup_cosine(loop.step, warmup, steps, config.learning_rate)
        losses = step.forward_backward(images, len(images.labels))
        values = step.update(losses, rate, loop.step + 1)
        loop.count(values, len(images.labels), rate, time.monotonic() - started)
        after_step(loop)
        resume.after_step()
        emit(Progress(f"Training the {task.stage}", loop.step, steps, "steps"))
    return loop
