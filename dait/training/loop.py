"""The training loop: one stage of one run, readable from top to bottom."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from dataclasses import replace

import numpy as np
import torch

from dait.config.train import TrainConfig
from dait.data.base import UNLABELLED, Dataset, Split
from dait.data.pool import pool_size, training_images
from dait.distributed import (
    World,
    average_statistics,
    check_batch,
    same_for_all,
    sync_batchnorm,
    this_world,
)
from dait.errors import UserError
from dait.events import Emit, EpochDone, Note, StageDone, StageStarted, StepDone, ignore
from dait.models.heads import HeadMix
from dait.models.network import recalibrate_batchnorm
from dait.tasks.base import Task
from dait.teachers.cache.views import TeacherViews
from dait.training.batches import Batches
from dait.training.checkpoint import StepCheckpoints, fingerprint
from dait.training.inference import predict_split
from dait.training.optimizer import learning_rate
from dait.training.precision import check_precision
from dait.training.resume import Resume
from dait.training.selection import Average, BestEpoch, chosen_mix
from dait.training.state import LoopState, TrainingState
from dait.training.step import Step, enough_memory
from dait.training.views import StagePosition

FEW_STEPS = 300
"""Below this many steps BatchNorm's running statistics lag behind the weights (our measurement in
short runs); they are then re-estimated on training views at the end of the stage."""


def train_stage(
    task: Task,
    data: Dataset,
    config: TrainConfig,
    stage: StagePosition,
    vlm_views: TeacherViews | None,
    emit: Emit,
    checkpoints: StepCheckpoints | None = None,
) -> float:
    """Train ``task.network`` in place and return its validation top-1 (fraction).

    The last epoch's weights are kept, or the best one's on validation where ``config.patience`` is
    set; of averaged weights, the average. Where ``checkpoints`` holds one of this very stage, it is
    resumed: on a CPU, with as many threads, to the same result bit for bit. Several processes that
    Accelerate started train one network together; the main one alone emits events and writes.
    With ``stage.unlabelled`` it learns from unlabelled images too; an epoch has as many steps as
    all images make either way (``Batches``). Raises UserError when the loss stops being finite,
    when a batch does not fit into the memory, when ``checkpoints`` holds another training, and for
    settings that contradict one another.
    """
    world, val = this_world(), data.split("val")
    emit = emit if world.is_main else ignore
    train, place = training_images(data, stage.unlabelled), task.network.mean.device
    batches = Batches(task, train, config, stage, vlm_views, world, place, pool_size(data))
    _check(batches, val)
    state = _begin(batches)
    resume = Resume(state, checkpoints, fingerprint(task, data, config, stage), world)
    resume.restore(emit)
    step, loop, average, best = state.step, state.loop, state.average, state.best
    steps = stage.epochs * batches.per_epoch
    emit(StageStarted(task.stage, stage.index, stage.count, stage.epochs, steps, loop.step))
    for line in (f"resumed after step {loop.step:,}",) if loop.step else task.notes:
        emit(Note(line))

    with resume.whole_steps():
        while not loop.done:
            task.train()
            task.begin_epoch(loop.epoch, stage.epochs)
            mark = time.monotonic()
            remaining = batches.epoch(loop.epoch, loop.steps_in_epoch)
            with closing(remaining), enough_memory(config):
                for batch in resume.each(remaining):
                    rate = learning_rate(loop.step, batches.per_epoch, steps, config)
                    losses = step.forward_backward(batch, batches.images)
                    values = step.update(losses, rate, loop.step + 1)
                    before, mark = mark, time.monotonic()
                    loop.count(values, batches.images, rate, mark - before)
                    if average:
                        average.update(loop.step)
                    emit(StepDone(task.stage, loop.epoch, loop.step, values["loss"]))
                    resume.after_step()
            average_statistics(world, task)

            last = loop.epoch + 1 == stage.epochs
            final = last and not best
            if final:  # what is measured now is what the stage keeps
                if average:
                    average.copy_to_task()
                _recalibrate(state, batches, emit)
            with average.swapped_in() if average and not final else nullcontext():
                loop.val_top1, val_loss = _evaluate(task, val, world)
                if best:
                    best.update(loop.epoch, loop.val_top1, val_loss, task)
            emit(_epoch_done(task, stage, loop, val_loss))
            loop.done = last or _should_stop(state, emit)
            loop.begin_next_epoch(time.monotonic() - mark)
            resume.after_epoch()

    if best:
        best.restore(task)
        _recalibrate(state, batches, emit)
        loop.val_top1, _ = _evaluate(task, val, world)
    task.network.mix = _mixed(task, val, world)
    task.eval()
    emit(StageDone(task.stage, loop.val_top1, loop.seconds))
    return loop.val_top1


def _begin(batches: Batches) -> TrainingState:
    """The state before the first step."""
    task, config, stage, world = batches.task, batches.config, batches.stage, batches.world
    torch.manual_seed(stage.seed * 1000 + stage.index + 1_000_003 * world.rank)
    sync_batchnorm(world, task)
    if config.channels_last:
        task.to(memory_format=torch.channels_last)
    same_for_all(world, task)
    average = Average(task, config.ema_decay) if config.ema_decay else None
    best = BestEpoch(config.patience) if config.patience else None
    return TrainingState(task, Step(task, config, world, batches.device), average, best)


def _check(batches: Batches, val: Split) -> None:
    task, config, views = batches.task, batches.config, batches.vlm_views
    if task.needs_vlm and views is None:
        raise ValueError(f"the stage {task.stage!r} needs the frozen teacher's views")
    cached = task.needs_vlm and views is not None and not views.live
    if config.mixes and cached:
        names = [name for name in ("mixup", "cutmix") if getattr(config, name)]
        raise UserError(
            f"train.{names[0]} mixes images, and the frozen teacher's kept embeddings are of "
            "unmixed ones. Set views.cache to false, so that it embeds the mixed images itself, "
            f"or {' and '.join(f'train.{name}' for name in names)} to 0."
        )
    unlabelled = int((np.asarray(batches.train.labels) == UNLABELLED).sum())
    if config.mixes and unlabelled:
        names = [name for name in ("mixup", "cutmix") if getattr(config, name)]
        raise UserError(
            f"train.{names[0]} mixes the labels of images, and {unlabelled:,} of the images that "
            f"the stage “{task.stage}” learns from have none. Set "
            f"{' and '.join(f'train.{name}' for name in names)} to 0, or data.use_unlabelled to "
            "false."
        )
    if config.patience and not len(val):
        raise UserError(
            "train.patience chooses the best epoch on the validation split, and the data has none. "
            "Set train.patience to 0, or add validation images."
        )
    check_precision(config.precision, batches.device)
    check_batch(batches.world, batches.images)


def _evaluate(task: Task, val: Split, world: World) -> tuple[float, float]:
    """Validation top-1 (fraction) and loss of the task's network as it is now."""
    predictions, labels = predict_split(task.network, val, world=world), torch.as_tensor(val.labels)
    mix = chosen_mix(task, predictions, labels)
    if mix is not None:
        predictions = replace(predictions, logits=mix(predictions.pooled, predictions.logits))
    return predictions.top1(labels), predictions.loss(labels)


def _mixed(task: Task, val: Split, world: World) -> HeadMix | None:
    """The heads of the trained network, mixed; None where its own one answers alone."""
    if task.head == "own":
        return None
    predictions = predict_split(task.network, val, world=world)
    mix = chosen_mix(task, predictions, torch.as_tensor(val.labels))
    return None if mix is None else mix.to(task.network.mean.device)


def _recalibrate(state: TrainingState, batches: Batches, emit: Emit) -> None:
    if state.loop.step >= FEW_STEPS:
        return
    emit(Note(f"only {state.loop.step} steps: BatchNorm's statistics are estimated again"))
    for network in state.task.learners():
        recalibrate_batchnorm(network, batches.for_statistics())


def _should_stop(state: TrainingState, emit: Emit) -> bool:
    """Early stopping: whether no epoch has been better for ``patience`` epochs."""
    if state.best is None or not state.best.should_stop(state.loop.epoch):
        return False
    best = state.best.epoch + 1
    emit(Note(f"no epoch since {best} was better on validation: its weights are kept"))
    return True


def _epoch_done(task: Task, stage: StagePosition, loop: LoopState, val_loss: float) -> EpochDone:
    means = loop.means()
    return EpochDone(
        stage=task.stage,
        epoch=loop.epoch,
        epochs=stage.epochs,
        loss=means.pop("loss"),
        parts=means,
        val_top1=loop.val_top1,
        val_loss=val_loss,
        learning_rate=loop.rate,
        images_per_second=loop.images / loop.epoch_seconds,
        seconds=loop.epoch_seconds,
    )
