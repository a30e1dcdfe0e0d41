"""The training loop: one stage of one run, readable from top to bottom."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext

import torch

from dait.config.train import TrainConfig
from dait.data.base import Dataset, Split
from dait.distributed import (
    average_statistics,
    check_batch,
    same_for_all,
    sync_batchnorm,
    this_world,
)
from dait.events import Emit, EpochDone, Note, StageDone, StageStarted, StepDone, ignore
from dait.models.network import recalibrate_batchnorm
from dait.tasks.base import Task
from dait.teachers.views import TeacherViews
from dait.training.averaging import Average
from dait.training.batches import Batches
from dait.training.checkpoint import StepCheckpoints, fingerprint
from dait.training.checks import check_training, check_validation
from dait.training.inference import Predictions, predict_split
from dait.training.memory import enough_memory
from dait.training.precision import check_precision
from dait.training.resume import Resume
from dait.training.schedule import learning_rate
from dait.training.stage import StagePosition
from dait.training.state import LoopState, TrainingState
from dait.training.step import Step
from dait.training.stopping import BestEpoch

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
    keep: StepCheckpoints | None = None,
) -> float:
    """Train ``task.network`` in place and return its validation top-1 (fraction).

    The last epoch's weights are kept, or the best one's on validation where ``config.patience`` is
    set; of averaged weights, the average. Where ``keep`` holds a checkpoint of this very stage, it
    goes on from there: on a CPU, with as many threads, to the same result bit for bit. Several
    processes that Accelerate started train one network together; the first one alone speaks and
    writes.
    Raises UserError when the loss stops being finite, when a batch does not fit into the memory,
    when ``keep`` holds another training, and for settings that contradict one another.
    """
    world, val = this_world(), data.split("val")
    emit = emit if world.is_main else ignore
    batches = Batches(
        task, data.split("train"), config, stage, vlm_views, world, task.network.mean.device
    )
    _check(batches, val)
    state = _begin(batches)
    resume = Resume(state, keep, fingerprint(task, data, config, stage), world)
    resume.go_on(emit)
    loop, steps = state.loop, stage.epochs * batches.per_epoch
    emit(StageStarted(task.stage, stage.index, stage.count, stage.epochs, steps, loop.step))
    for line in (f"goes on after step {loop.step:,}",) if loop.step else task.notes:
        emit(Note(line))

    with resume.whole_steps():
        while not loop.done:
            task.train()
            task.begin_epoch(loop.epoch, stage.epochs)
            mark = _steps(state, batches, resume, emit)
            average_statistics(world, task)
            last = loop.epoch + 1 == stage.epochs
            seen = _evaluate(state, batches, val, last, emit)
            emit(_epoch_done(task, stage, loop, seen, val))
            loop.done = last or should_stop(state, emit)
            loop.begin_next_epoch(time.monotonic() - mark)
            resume.after_epoch()

    if state.best:
        state.best.restore(task)
        _recalibrate(state, batches, emit)
        loop.val_top1 = predict_split(task.network, val, world=world).top1(_labels(val))
    task.eval()
    emit(StageDone(task.stage, loop.val_top1, loop.seconds))
    return loop.val_top1


def _steps(state: TrainingState, batches: Batches, resume: Resume, emit: Emit) -> float:
    """Take the epoch's steps, or those that are left of it; when the last was done."""
    task, loop, config = batches.task, state.loop, batches.config
    steps = batches.stage.epochs * batches.per_epoch
    mark = time.monotonic()
    with (
        closing(batches.epoch(loop.epoch, loop.steps_in_epoch)) as rest,
        enough_memory(config),
    ):
        for batch in resume.each(rest):
            rate = learning_rate(loop.step, batches.per_epoch, steps, config)
            values = state.step(batch, batches.images, rate, loop.step + 1)
            now = time.monotonic()
            loop.count(values, batches.images, rate, now - mark)
            mark = now
            if state.average:
                state.average.update(loop.step)
            emit(StepDone(task.stage, loop.epoch, loop.step, values["loss"]))
            resume.after_step()
    return mark


def _check(batches: Batches, val: Split) -> None:
    task, config, views = batches.task, batches.config, batches.vlm_views
    if task.needs_vlm and views is None:
        raise ValueError(f"the stage {task.stage!r} needs the frozen teacher's views")
    check_training(config, task.needs_vlm, cached=views is not None and not views.live)
    check_validation(config, len(val))
    check_precision(config.precision, batches.device)
    check_batch(batches.world, batches.images)


def _begin(batches: Batches) -> TrainingState:
    """A stage before its first step."""
    task, config, stage, world = batches.task, batches.config, batches.stage, batches.world
    torch.manual_seed(stage.seed * 1000 + stage.index + 1_000_003 * world.rank)
    sync_batchnorm(world, task)
    if config.channels_last:
        task.to(memory_format=torch.channels_last)
    same_for_all(world, task)
    average = Average(task, config.ema_decay) if config.ema_decay else None
    best = BestEpoch(config.patience) if config.patience else None
    return TrainingState(task, Step(task, config, world, batches.device), average, best)


def _evaluate(
    state: TrainingState, batches: Batches, val: Split, last: bool, emit: Emit
) -> Predictions:
    """Validation of the weights that would be kept now; after the last epoch they are in place."""
    if last and not state.best:
        if state.average:
            state.average.keep()
        _recalibrate(state, batches, emit)
        averaged = None
    else:
        averaged = state.average
    with averaged.shown() if averaged else nullcontext():
        seen = predict_split(state.task.network, val, world=batches.world)
        state.loop.val_top1 = seen.top1(_labels(val))
        if state.best:
            loss = seen.loss(_labels(val))
            state.best.see(state.loop.epoch, state.loop.val_top1, loss, state.task)
    return seen


def _recalibrate(state: TrainingState, batches: Batches, emit: Emit) -> None:
    if state.loop.step >= FEW_STEPS:
        return
    emit(Note(f"only {state.loop.step} steps: BatchNorm's statistics are estimated again"))
    for network in state.task.learners():
        recalibrate_batchnorm(network, batches.for_statistics())


def should_stop(state: TrainingState, emit: Emit) -> bool:
    if state.best is None or not state.best.is_long_ago(state.loop.epoch):
        return False
    best = state.best.epoch + 1
    emit(Note(f"no epoch since {best} was better on validation: its weights are kept"))
    return True


def _epoch_done(
    task: Task, stage: StagePosition, loop: LoopState, seen: Predictions, val: Split
) -> EpochDone:
    means = loop.means()
    return EpochDone(
        stage=task.stage,
        epoch=loop.epoch,
        epochs=stage.epochs,
        loss=means.pop("loss"),
        parts=means,
        val_top1=loop.val_top1,
        val_loss=seen.loss(_labels(val)),
        learning_rate=loop.rate,
        images_per_second=loop.images / loop.epoch_seconds,
        seconds=loop.epoch_seconds,
    )


def _labels(split: Split) -> torch.Tensor:
    return torch.as_tensor(split.labels)
