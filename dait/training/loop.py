"""The training loop: one stage of one run, readable from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dait.config.train import TrainConfig
from dait.data.augment import ViewPolicy, view_batch
from dait.data.base import Dataset, Split
from dait.errors import UserError
from dait.events import Emit, EpochDone, Note, StageDone, StageStarted, StepDone
from dait.inference import predict_split
from dait.models.network import recalibrate_batchnorm
from dait.tasks.base import Batch, Task, TaskOutput
from dait.teachers.views import TeacherViews

FEW_STEPS = 300
"""Below this many steps BatchNorm's running statistics lag behind the weights (our measurement in
short runs); they are then re-estimated on training views at the end of the stage."""
RECALIBRATION_BATCHES = 16


@dataclass(frozen=True)
class Stage:
    """Where a stage stands in its run, and what it draws its randomness from.

    distinct_views: epochs go round this many views of each image; 0 means a new one every epoch.
    """

    index: int
    count: int
    epochs: int
    seed: int
    distinct_views: int = 0

    def view(self, epoch: int) -> int:
        return epoch % self.distinct_views if self.distinct_views else epoch


def train_stage(
    task: Task,
    data: Dataset,
    config: TrainConfig,
    stage: Stage,
    vlm_views: TeacherViews | None,
    emit: Emit,
) -> float:
    """Train ``task.network`` in place and return its validation top-1 (fraction).

    An image is seen once an epoch at most: a last batch that is not full is left out. The last
    epoch's weights are kept: nothing is selected.
    Raises UserError when the loss stops being finite, and when a teacher is needed but missing.
    """
    if task.needs_vlm and vlm_views is None:
        raise ValueError(f"the stage {task.stage!r} needs the frozen teacher's views")
    train, val = data.split("train"), data.split("val")
    val_labels = torch.as_tensor(val.labels)
    steps_per_epoch = max(1, len(train) // config.batch_size)
    steps = stage.epochs * steps_per_epoch
    device = task.network.mean.device
    torch.manual_seed(stage.seed * 1000 + stage.index)
    task.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(task, config)
    emit(StageStarted(task.stage, stage.index, stage.count, stage.epochs, steps))
    for line in task.notes:
        emit(Note(line))
    started, step, val_top1 = time.monotonic(), 0, math.nan
    for epoch in range(stage.epochs):
        task.train()
        task.begin_epoch(epoch, stage.epochs)
        epoch_started, sums, images_seen = time.monotonic(), dict[str, float](), 0
        for batch in _batches(task, train, config.batch_size, stage, epoch, vlm_views):
            rate = learning_rate(step, steps_per_epoch, steps, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            output = task(_to(batch, device))
            value = output.loss.item()
            if not math.isfinite(value):
                raise _not_finite(task, step + 1, rate, output)
            optimizer.zero_grad(set_to_none=True)
            output.loss.backward()
            torch.nn.utils.clip_grad_norm_(task.trainable(), config.gradient_clip)
            optimizer.step()
            step += 1
            images_seen += len(batch.labels)
            for name, part in {"loss": output.loss, **output.parts}.items():
                sums[name] = sums.get(name, 0.0) + float(part.detach()) * len(batch.labels)
            emit(StepDone(task.stage, epoch, step, value))
        seconds = time.monotonic() - epoch_started
        if epoch + 1 == stage.epochs and steps < FEW_STEPS:
            emit(Note(f"only {steps} steps: BatchNorm's statistics are estimated again"))
            for network in task.learners():
                recalibrate_batchnorm(network, _calibration_views(task, train, config, stage))
        predictions = predict_split(task.network, val)
        val_top1 = predictions.top1(val_labels)
        means = {name: total / images_seen for name, total in sums.items()}
        emit(
            EpochDone(
                stage=task.stage,
                epoch=epoch,
                epochs=stage.epochs,
                loss=means.pop("loss"),
                parts=means,
                val_top1=val_top1,
                val_loss=predictions.loss(val_labels),
                learning_rate=rate,
                images_per_second=images_seen / seconds,
                seconds=seconds,
            )
        )
    task.eval()
    emit(StageDone(task.stage, val_top1, time.monotonic() - started))
    return val_top1


def build_optimizer(task: Task, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD (Nesterov momentum 0.9); biases and norms are not decayed."""
    parameters = [p for p in task.trainable() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def learning_rate(step: int, steps_per_epoch: int, steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine to zero; warm-up takes at most half of the stage."""
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps // 2)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def _batches(
    task: Task,
    train: Split,
    batch_size: int,
    stage: Stage,
    epoch: int,
    vlm_views: TeacherViews | None,
) -> Iterator[Batch]:
    """The epoch's batches; a last one that is not full is left out, unless it is the only one."""
    view, policy = stage.view(epoch), ViewPolicy(task.views)
    order = np.random.default_rng([stage.seed, stage.index, epoch]).permutation(len(train))
    labels = torch.as_tensor(train.labels)
    last = len(train) - len(train) % batch_size if len(train) >= batch_size else len(train)
    for start in range(0, last, batch_size):
        index = order[start : start + batch_size]
        images = view_batch(train.images[index], index, view, policy, stage.seed)
        vlm = vlm_views.rows(view, index, images) if task.needs_vlm and vlm_views else None
        yield Batch(images, labels[index], vlm)


def _calibration_views(
    task: Task, train: Split, config: TrainConfig, stage: Stage
) -> Iterator[Tensor]:
    device = task.network.mean.device
    order = np.random.default_rng([stage.seed, stage.index, stage.epochs]).permutation(len(train))
    count = max(1, min(RECALIBRATION_BATCHES, len(train) // config.batch_size))
    for part in np.array_split(order[: count * config.batch_size], count):
        images = view_batch(train.images[part], part, 0, ViewPolicy(task.views), stage.seed)
        yield images.to(device)


def _to(batch: Batch, device: torch.device) -> Batch:
    vlm = None if batch.vlm is None else batch.vlm.to(device)
    images = batch.images.to(device, memory_format=torch.channels_last)
    return Batch(images, batch.labels.to(device), vlm)


def _not_finite(task: Task, step: int, rate: float, output: TaskOutput) -> UserError:
    parts = ", ".join(f"{name} {part.item():.4g}" for name, part in output.parts.items())
    return UserError(
        f"The loss of the stage “{task.stage}” is {output.loss.item()} at step {step} with a "
        f"learning rate of {rate:.3g} ({parts}). Lower train.learning_rate, or the weight of the "
        "part that is not finite."
    )
