"""An estimate of what a study will cost, from a few steps of each of its arms.

The networks, the losses, the optimiser, the views and the frozen teacher are the real ones; pixels
and labels are noise, which costs the same.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dait.arms.catalogue import plan_of
from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm, arm_title
from dait.config.recipe import OWN_FOLDER, Recipe
from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import ViewKind
from dait.data.benchmarks.catalogue import benchmarks
from dait.data.benchmarks.obtain import available
from dait.data.images.frame import Framing
from dait.distributed import ALONE, device, synchronize
from dait.errors import UserError
from dait.events import Emit, Progress, ignore
from dait.models.cost import count_parameters
from dait.models.network import Network, NetworkSpec, build_network
from dait.runs.data import open_data
from dait.storage.processors import processors
from dait.study.memory import peak_memory_bytes
from dait.tasks.base import Batch, Role, TaughtTask
from dait.teachers.base import FrozenTeacher
from dait.teachers.embedding import Embedder
from dait.teachers.registry import load_teacher
from dait.teachers.weights import is_here
from dait.training.batches import rounds_of, steps_of
from dait.training.precision import check_precision
from dait.training.step import Step, enough_memory
from dait.training.teacher_outputs import output_bytes, outputs_to_hold
from dait.training.views import StagePosition, epochs_that_make, view_bytes, views_to_keep

WARM_UPS, MOST_STEPS, SECONDS_A_STAGE = 2, 10, 2.0
EMBEDDED = 64
STEPS_KEPT = 2
"""States of a stage that lie on the disk at a time: between two steps, and the one before."""


@dataclass(frozen=True)
class CostEstimate:
    """Of a whole study.

    arm_seconds: of one seed of each arm, without the frozen teacher's part. teacher_seconds: the
    frozen teacher's views and test images, for all seeds; None where it is not on this machine yet.
    study_bytes: kept in the study's folder; working_bytes: there too, until a stage is over;
    cache_bytes: views and images in the cache folder, used by other studies too.
    memory_bytes: the most that a process took that did this, of ``device``'s memory.
    """

    seconds: float
    arm_seconds: dict[Arm, float]
    teacher_seconds: float | None
    study_bytes: int
    working_bytes: int
    cache_bytes: int
    memory_bytes: int
    device: str
    threads: int
    load: float
    steps: int
    batch: int
    size: int
    images: int


def estimate(
    recipe: Recipe, arms: Sequence[Arm], seeds: Sequence[int], emit: Emit = ignore
) -> CostEstimate:
    """Measure some steps of every stage of ``arms`` and multiply.

    Takes seconds an arm. It is measured in this process, so the memory is that of a process which
    does nothing else. What is not in it: reading or drawing the images for the first time,
    downloads, and the t-SNE maps at the end. Nothing is downloaded, and no image is read.

    Raises ``UserError`` for data that is not on this machine, for networks that cannot be built,
    and where a batch does not fit into the memory.
    """
    check_precision(recipe.train.precision, device())
    counts = counts_of(recipe)
    total = len(arms) + 1
    emit(Progress("Measuring the frozen teacher", 1, total, "steps"))
    teacher = _measured_teacher(recipe)
    probe = _Probe(without_weights(recipe), counts, teacher.dim, teacher.scale)
    costs: dict[Arm, list[_StageCost]] = {}
    for number, arm in enumerate(arms, start=2):
        emit(Progress(f"Measuring {arm_title(arm)}", number, total, "steps"))
        costs[arm] = probe.arm(arm)
    return _summed(recipe, counts, seeds, costs, teacher)


@dataclass(frozen=True)
class _TeacherCost:
    """Seconds an image; None where the teacher is not here: then its answers' size is a guess."""

    seconds: float | None
    dim: int
    scale: float
    reads_text: bool


@dataclass(frozen=True)
class _StageCost:
    """Seconds of a stage by all its parts, and what it trains.

    rounds: of its images; held_bytes: of views that are shown again, and of what a trained teacher
    gives for them.
    """

    seconds: float
    parameters: int
    learned: int
    pooled: int
    needs_vlm: bool
    views: ViewKind
    rounds: int
    held_bytes: int


def _measured_teacher(recipe: Recipe) -> _TeacherCost:
    if not is_here(recipe.teacher.name):
        return _TeacherCost(None, 512, 100.0, True)
    teacher = load_teacher(recipe.teacher.name, recipe.teacher.image_size)
    if isinstance(teacher, nn.Module):
        teacher.to(device())
    seconds = _teacher_seconds(teacher, recipe)
    return _TeacherCost(seconds, teacher.dim, teacher.logit_scale, teacher.reads_text)


def _teacher_seconds(teacher: FrozenTeacher, recipe: Recipe) -> float:
    pixels, index = _noise(EMBEDDED, recipe.data.framing), np.arange(EMBEDDED)
    embedder, policy = Embedder(teacher), ViewPolicy(recipe.views.kind)

    def embed() -> None:
        embedder.embed(_views_of(pixels, index, policy, recipe)).cpu()

    return _seconds(embed, most=3) / EMBEDDED


class _Probe:
    """Runs some steps of arms, on noise of the data's counts."""

    def __init__(self, recipe: Recipe, counts: DataCounts, dim: int, scale: float) -> None:
        self.recipe, self.counts, self.dim, self.scale = recipe, counts, dim, scale
        self.batch = min(recipe.train.batch_size, counts.pool)
        self.pixels = _noise(self.batch, recipe.data.framing)
        self._view_seconds: dict[ViewKind, float] = {}

    def arm(self, arm: Arm) -> list[_StageCost]:
        plan, before = plan_of(arm), dict[Role, Network]()
        projections = dict[Role, dict[str, Any]]()
        prototypes = F.normalize(torch.randn(self.counts.classes, self.dim), dim=1)
        costs = []
        for stage in plan.stages(self.recipe):
            network = self._new(stage.role, stage.network)
            context = TaskContext(
                self.recipe, prototypes, self.scale, before, self._new, projections
            )
            task = plan.task(stage.role, network, context).to(device())
            task.stage = stage.title
            costs.append(self._stage(stage, task))
            before[stage.role] = network
            projections[stage.role] = task.projections.state_dict()
        return costs

    def _new(self, role: Role, spec: NetworkSpec) -> Network:
        return build_network(spec, self.counts.classes, self.recipe.data.size).to(device())

    def _stage(self, stage: TrainingStage, task: Any) -> _StageCost:
        # Compiling takes minutes, which are no estimate of anything.
        config = self.recipe.train.model_copy(update={"compile": False})
        if config.channels_last:
            task.to(memory_format=torch.channels_last)
        step, batch = Step(task, config, ALONE, device()), self._batch(config.channels_last)
        task.train()
        task.begin_epoch(0, stage.epochs)
        with enough_memory(config):
            stepping = _seconds(
                lambda: step.update(step.forward_backward(batch, self.batch), rate=1e-6, number=1)
            )
            taught = self._taught(task, batch)
            repeating = stepping
            if taught is not None:  # later showings of a view, whose outputs are held
                repeating = _seconds(
                    lambda: step.update(
                        step.forward_backward(taught, self.batch), rate=1e-6, number=1
                    )
                )
        task.eval()
        with torch.no_grad():
            predicting = _seconds(lambda: task.network(batch.images).logits.cpu(), most=3)
        images = self.counts.pool if stage.unlabelled else self.counts.train
        steps = steps_of(images, self.batch)  # of a round of the images
        rounds = rounds_of(stage.epochs, steps_of(self.counts.pool, self.batch), steps)
        shape = images, self.recipe.data.size
        place = StagePosition(0, 1, rounds, seed=0, distinct_views=self.recipe.views.distinct)
        held = views_to_keep(task.views, place, *shape, device())
        making = epochs_that_make(place, held)
        outputs_bytes = 0
        if taught is not None and taught.taught is not None:
            outputs_bytes = images * output_bytes(taught.taught) // self.batch
        held_outputs = outputs_to_hold(place, outputs_bytes) if outputs_bytes else 0
        teaching = epochs_that_make(place, held_outputs)
        training = teaching * stepping + (rounds - teaching) * repeating
        training += making * (_together(stepping, self._views(task.views)) - stepping)
        validation = stage.epochs * self.counts.val + self.counts.test
        learned = sum(parameter.numel() for parameter in task.trainable())
        return _StageCost(
            seconds=steps * training + validation * predicting / self.batch,
            parameters=count_parameters(task.network),
            learned=learned,
            pooled=task.network.pooled_width,
            needs_vlm=task.needs_vlm,
            views=task.views,
            rounds=rounds,
            held_bytes=held * view_bytes(*shape) + held_outputs * outputs_bytes,
        )

    def _taught(self, task: Any, batch: Batch) -> Batch | None:
        """The batch with its trained teacher's outputs; None where these are not held."""
        if not isinstance(task, TaughtTask) or not task.teacher_outputs or self.recipe.train.mixes:
            return None
        return replace(batch, taught=task.needed(task.taught(batch)))

    def _batch(self, channels_last: bool) -> Batch:
        size = self.recipe.data.size
        images = torch.rand(self.batch, size, size, 3).permute(0, 3, 1, 2).to(device())
        if channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.arange(self.batch, device=device()) % self.counts.classes
        vlm = F.normalize(torch.randn(self.batch, self.dim), dim=1).to(device())
        return Batch(images, labels, vlm)

    def _views(self, kind: ViewKind) -> float:
        if kind not in self._view_seconds:
            index, policy = np.arange(self.batch), ViewPolicy(kind)
            self._view_seconds[kind] = _seconds(
                lambda: _views_of(self.pixels, index, policy, self.recipe), most=3
            )
        return self._view_seconds[kind]


def _together(step: float, views: float) -> float:
    """Views are made beside the steps where a processor is free for them."""
    alone = device().type == "cuda" or torch.get_num_threads() >= processors()
    return step + views if alone else max(step, views)


def _summed(
    recipe: Recipe,
    counts: DataCounts,
    seeds: Sequence[int],
    arm_costs: Mapping[Arm, list[_StageCost]],
    teacher: _TeacherCost,
) -> CostEstimate:
    costs = [cost for stages in arm_costs.values() for cost in stages]
    arm_seconds = {arm: sum(cost.seconds for cost in stages) for arm, stages in arm_costs.items()}
    taught = [cost.rounds for cost in costs if cost.needs_vlm]
    # All arms of a seed learn from the same views, whose embeddings are kept.
    views = max((recipe.views.count(rounds) for rounds in taught), default=0)
    embedded = views if recipe.views.cache else sum(taught)
    once = counts.test + (0 if teacher.reads_text else counts.train + counts.val)
    seen = len(seeds) * embedded * counts.pool + once
    teaching = None if teacher.seconds is None else seen * teacher.seconds
    kept = views * counts.pool * teacher.dim * 2 * len(seeds) if recipe.views.cache else 0
    images = counts.pool + counts.val + counts.test
    pixels = images * 3 * math.prod(recipe.data.framing.typical_shape)
    weights = sum(4 * cost.learned for cost in costs)
    answers = sum(2 * counts.test * (counts.classes + cost.pooled) for cost in costs)
    return CostEstimate(
        seconds=len(seeds) * sum(arm_seconds.values()) + (teaching or 0.0),
        arm_seconds=arm_seconds,
        teacher_seconds=teaching,
        study_bytes=len(seeds) * (weights + answers) + 2 * counts.test * teacher.dim,
        # AdamW keeps two numbers beside every weight.
        working_bytes=STEPS_KEPT * 3 * 4 * max(cost.learned for cost in costs),
        cache_bytes=kept + pixels,
        memory_bytes=_most_memory() + max(cost.held_bytes for cost in costs),
        device=device().type,
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0],
        steps=MOST_STEPS,
        batch=min(recipe.train.batch_size, counts.pool),
        size=recipe.data.size,
        images=counts.pool,
    )


def _seconds(work: Callable[[], Any], most: int = MOST_STEPS) -> float:
    """The median of some runs, after some that do not count; one at least."""
    for _ in range(min(WARM_UPS, most - 1)):
        _timed(work)
    times: list[float] = []
    while not times or (len(times) < most and sum(times) < SECONDS_A_STAGE):
        times.append(_timed(work))
    return median(times)


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


def _most_memory() -> int:
    if device().type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return peak_memory_bytes()


def _noise(count: int, framing: Framing) -> np.ndarray:
    """Stored images, of the shape that most photographs have."""
    shape = (count, *framing.typical_shape, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _views_of(
    stored: np.ndarray, index: np.ndarray, policy: ViewPolicy, recipe: Recipe
) -> torch.Tensor:
    place = device() if device().type == "cuda" else None
    return view_batch(stored, index, 0, policy, size=recipe.data.size, device=place)


@dataclass(frozen=True)
class DataCounts:
    """Images of each split, and classes, of a data set."""

    train: int
    val: int
    test: int
    classes: int
    unlabelled: int = 0

    @property
    def pool(self) -> int:
        """All images that a training may learn from."""
        return self.train + self.unlabelled


def counts_of(recipe: Recipe) -> DataCounts:
    """Count a recipe's data without reading an image.

    Raises ``UserError`` for data that is not on this machine, or cannot be listed.
    """
    source = recipe.data.source
    if source == OWN_FOLDER:
        raise UserError(f"The recipe {recipe.name} needs photographs: name their folder.")
    known = benchmarks().get(source.partition(":")[0])
    if source.startswith("hf:") or (known is not None and not available(known)):
        raise UserError(
            f"The cost is estimated for data that lies on this machine, and {source} has to be "
            "downloaded first."
        )
    data = open_data(recipe, ignore)
    counts = data.counts()
    return DataCounts(
        train=counts["train"],
        val=counts["val"],
        test=counts["test"],
        classes=len(data.classes),
        unlabelled=counts.get("unlabelled", 0),
    )


def without_weights(recipe: Recipe) -> Recipe:
    """The same networks with random weights: others may have to be downloaded."""

    def bare(spec: NetworkSpec | None) -> NetworkSpec | None:
        return spec and spec.model_copy(update={"pretrained": False, "weights": None})

    return recipe.model_copy(
        update={
            "student": bare(recipe.student),
            "intermediate": bare(recipe.intermediate),
            "kd": recipe.kd.model_copy(update={"network": bare(recipe.kd.network)}),
            "takd": recipe.takd.model_copy(update={"network": bare(recipe.takd.network)}),
        }
    )
