"""One run from its recipe to its result: data, frozen teacher, stages, evaluation, export."""

from __future__ import annotations

import io
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dait.data.augment import ViewPolicy
from dait.data.base import Dataset
from dait.data.registry import open_dataset
from dait.events import Emit, Note
from dait.inference import Predictions, predict_split
from dait.loop import Stage, train_stage
from dait.models.checkpoint import save_network, save_tensors
from dait.models.cost import measure_cost
from dait.models.network import Network, NetworkSpec, build_network
from dait.progress import StagePlan
from dait.recipe import Arm, Recipe
from dait.runs import RunFolder, write_atomically
from dait.tasks.adapt import AdaptTask
from dait.tasks.base import Task
from dait.tasks.direct import DirectTask
from dait.tasks.distil import DistilTask
from dait.tasks.independent import IndependentTask
from dait.teachers.base import FrozenTeacher
from dait.teachers.registry import (
    Prototypes,
    embed_split,
    fetch_teacher,
    load_teacher,
    prototypes_of,
)
from dait.teachers.views import TeacherViews
from dait.teachers.zero_shot_figures import remember_zero_shot

FIELD_GUIDE_ONLY = (
    *("train_per_class", "val_per_class", "test_per_class", "species"),
    *("differing", "label_noise", "long_tail"),
)
"""Settings of ``DataConfig`` that a folder of photographs refuses."""

INTERMEDIATE_SEED = 1_000_003
"""Added to the seed for the intermediate teacher's initial weights: were they the student's own,
feature distillation would start from a match that no other arm has."""

LIBRARIES = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "pillow")


@dataclass(frozen=True)
class Workbench:
    """What all runs of a study share: the data and the frozen teacher's view of it."""

    recipe: Recipe
    data: Dataset
    teacher: FrozenTeacher
    prototypes: Prototypes
    test_embeddings: Tensor
    zero_shot: dict[str, Any]
    """The frozen teacher's own figures on the test split."""

    @property
    def class_keys(self) -> list[str]:
        return [info.key for info in self.data.classes]


def open_data(recipe: Recipe, emit: Emit) -> Dataset:
    """The recipe's data set. Raises UserError when there is none to be had."""
    options = recipe.data.model_dump()
    if recipe.data.source != "fieldguide":
        for name in FIELD_GUIDE_ONLY:
            del options[name]
    return open_dataset(emit=emit, **options)


def prepare(recipe: Recipe, emit: Emit) -> Workbench:
    """Open the data, load the teacher, build the networks once so that faults show at the start.

    Raises UserError for anything that would make the training fail later.
    """
    # First of all: a download that cannot be had should not cost the reading of a data set.
    fetch_teacher(recipe.teacher.name, emit)
    data = open_data(recipe, emit)
    for spec in (recipe.student, recipe.intermediate):
        build_network(spec, len(data.classes), recipe.data.size)
    emit(Note(f"loading the frozen teacher {recipe.teacher.name}"))
    teacher = load_teacher(recipe.teacher.name, recipe.teacher.image_size, emit)
    if isinstance(teacher, nn.Module):
        teacher.to(device())
    for name in ("train", "val", "test"):
        emit(Note(f"reading the {name} split"))
        data.split(name)
    for line in left_out(data):
        emit(Note(line))
    prototypes = prototypes_of(teacher, data, recipe.teacher.prompts)
    prototypes = Prototypes(prototypes.vectors.cpu(), prototypes.logit_scale)
    emit(Note("the frozen teacher looks at the test split"))
    test = data.split("test")
    embeddings = embed_split(teacher, test.images).cpu()
    logits = prototypes.logit_scale * embeddings @ prototypes.vectors.T
    zero_shot = evaluate(logits, test.labels, {})
    source, prompts = recipe.data.source, recipe.teacher.prompts
    remember_zero_shot(teacher, data, "test", zero_shot, called=source, prompts=prompts)
    emit(Note(f"zero-shot top-1 of {teacher.name} on test: {zero_shot['top1']:.1%}"))
    return Workbench(recipe, data, teacher, prototypes, embeddings, zero_shot)


def left_out(data: Dataset) -> list[str]:
    """In words: how many files could not be used, which and why, and what else is odd."""
    lines = [str(note) for note in getattr(data, "notes", ())]
    if data.problems:
        lines.append(f"{len(data.problems)} files cannot be used and are left out")
    lines += [f"left out {problem.file}: {problem.reason}" for problem in data.problems]
    return lines


def stage_plan(recipe: Recipe, arm: Arm, train_images: int) -> list[StagePlan]:
    """The stages of one arm with their optimiser steps, for progress and ETA."""
    per_epoch = max(1, train_images // recipe.train.batch_size)
    student = StagePlan("student", recipe.train.epochs * per_epoch)
    if arm != "dait":
        return [student]
    epochs = recipe.dait.stage1_epochs or recipe.train.epochs
    return [StagePlan("intermediate teacher", epochs * per_epoch), student]


def run_arm(bench: Workbench, arm: Arm, seed: int, folder: RunFolder, emit: Emit) -> dict[str, Any]:
    """Train one arm with one seed into ``folder`` and return what ``result.json`` holds.

    The test split is measured once, after all training. Every arm starts from the same student
    weights for a seed. Raises UserError when training cannot go on.
    """
    started = time.time()
    recipe = bench.recipe
    folder.create({**recipe.model_dump(), "arm": arm, "seed": seed})
    intermediate, intermediate_val = None, None
    stages = 2 if arm == "dait" else 1
    if arm == "dait":
        intermediate = new_network(bench, recipe.intermediate, seed + INTERMEDIATE_SEED)
        task: Task = _adapt_task(bench, intermediate)
        epochs = recipe.dait.stage1_epochs or recipe.train.epochs
        intermediate_val = _train(bench, task, Stage(0, stages, epochs, seed), emit)
        save_network(folder.intermediate, intermediate, bench.class_keys, arm="intermediate")
        _save_projections(folder, task, "stage1")
    student = new_network(bench, recipe.student, seed)
    task = _student_task(bench, arm, student, intermediate)
    stage = Stage(stages - 1, stages, recipe.train.epochs, seed)
    val_top1 = _train(bench, task, stage, emit)
    save_network(folder.student, student, bench.class_keys, arm=arm)
    _save_projections(folder, task, f"stage{stages}" if arm == "dait" else arm)
    folder.write_status(state="evaluating", message="Measuring the test split")
    emit(Note("measuring the test split"))
    result = _evaluate(bench, arm, seed, folder, student, intermediate)
    result["val_top1"] = val_top1
    if result["intermediate"]:
        result["intermediate"]["val_top1"] = intermediate_val
    result |= {"seconds": time.time() - started, "versions": versions()}
    folder.write_result(result)
    return result


def new_network(bench: Workbench, spec: NetworkSpec, seed: int) -> Network:
    """A network with the initial weights that belong to ``seed``, whichever arm asks."""
    torch.manual_seed(seed)
    network = build_network(spec, len(bench.data.classes), bench.recipe.data.size)
    return network.to(device())


def device() -> torch.device:
    """The accelerator if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def evaluate(logits: Tensor, labels: np.ndarray, slices: Any) -> dict[str, Any]:
    """The figures of ``dait.evidence.metrics`` for logits on any device."""
    from dait.evidence.metrics import evaluate_logits

    return evaluate_logits(logits.float().cpu().numpy(), labels, slices)


def versions() -> dict[str, str]:
    """What a figure depends on besides the recipe."""
    found = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "machine": platform.machine(), **found}


def teacher_views(
    recipe: Recipe, data: Dataset, teacher: FrozenTeacher, seed: int, emit: Emit
) -> TeacherViews:
    """The frozen teacher's embeddings of the views that a run of this seed shows, kept or live."""
    origin = {
        "data": recipe.data.model_dump(),
        "teacher": {"name": recipe.teacher.name, "image_size": recipe.teacher.image_size},
        "views": {"kind": recipe.views.kind},
    }
    policy, live = ViewPolicy(recipe.views.kind), not recipe.views.cache
    return TeacherViews(teacher, data, policy, seed, emit, live=live, origin=origin)


def _adapt_task(bench: Workbench, network: Network) -> Task:
    return AdaptTask(
        network,
        bench.recipe.views.kind,
        bench.prototypes.vectors,
        bench.prototypes.logit_scale,
        bench.recipe.dait,
        bench.recipe.train.label_smoothing,
    )


def _student_task(
    bench: Workbench, arm: Arm, network: Network, intermediate: Network | None
) -> Task:
    recipe = bench.recipe
    smoothing = recipe.train.label_smoothing
    if arm == "direct":
        vectors, scale = bench.prototypes.vectors, bench.prototypes.logit_scale
        return DirectTask(network, recipe.views.kind, vectors, scale, recipe.direct, smoothing)
    if arm == "dait":
        if intermediate is None:
            raise ValueError("stage 2 of DAIT needs the intermediate teacher of stage 1")
        return DistilTask(network, recipe.dait.views, intermediate, recipe.dait, smoothing)
    return IndependentTask(network, recipe.views.kind, smoothing)


def _train(bench: Workbench, task: Task, stage: Stage, emit: Emit) -> float:
    stage = Stage(stage.index, stage.count, stage.epochs, stage.seed, bench.recipe.views.distinct)
    views = None
    if task.needs_vlm:
        views = teacher_views(bench.recipe, bench.data, bench.teacher, stage.seed, emit)
        views.announce(bench.recipe.views.count(stage.epochs))
    return train_stage(task.to(device()), bench.data, bench.recipe.train, stage, views, emit)


def _save_projections(folder: RunFolder, task: Task, name: str) -> None:
    tensors = dict(task.projections.state_dict())
    if tensors:
        save_tensors(folder.checkpoints / f"projections-{name}.safetensors", tensors)


def _evaluate(
    bench: Workbench,
    arm: Arm,
    seed: int,
    folder: RunFolder,
    student: Network,
    intermediate: Network | None,
) -> dict[str, Any]:
    test = bench.data.split("test")
    answers = predict_split(student, test)
    arrays = _arrays(answers) | {"labels": np.asarray(test.labels), "ids": np.asarray(test.ids)}
    cost = measure_cost(student, folder.student)
    taught = None
    if intermediate is not None:
        between = predict_split(intermediate, test)
        arrays |= {f"intermediate_{name}": a for name, a in _arrays(between).items()}
        middle_cost = measure_cost(intermediate, folder.intermediate)
        taught = {
            **evaluate(between.logits, test.labels, test.slices),
            "network": bench.recipe.intermediate.name,
            **_cost_figures(middle_cost),
            "map": [intermediate.map_channels, *intermediate.map_size],
        }
    _write_predictions(folder, arrays)
    return {
        "arm": arm,
        "seed": seed,
        **evaluate(answers.logits, test.labels, test.slices),
        "network": bench.recipe.student.name,
        **_cost_figures(cost),
        "map": [student.map_channels, *student.map_size],
        "teacher": {
            "name": bench.teacher.name,
            "zero_shot_top1": bench.zero_shot["top1"],
            "zero_shot_top5": bench.zero_shot["top5"],
        },
        "intermediate": taught,
    }


def _cost_figures(cost: Any) -> dict[str, Any]:
    return {
        "parameters": cost.parameters,
        "macs": cost.macs,
        "latency_ms": cost.latency_ms,
        "file_bytes": cost.file_bytes,
    }


def _arrays(answers: Predictions) -> dict[str, np.ndarray]:
    return {"logits": _half(answers.logits), "pooled": _half(answers.pooled)}


def _half(values: Tensor) -> np.ndarray:
    """As fp16, or as they are where a badly trained network gives more than fp16 can hold."""
    half = values.half()
    return (half if torch.isfinite(half).all() else values).numpy()


def _write_predictions(folder: RunFolder, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(folder.predictions, buffer.getvalue())
