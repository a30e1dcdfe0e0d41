"""One run from its recipe to its result: the stages of its arm, evaluation, export."""

from __future__ import annotations

import time
from typing import Any

import torch

from dait.arms.catalogue import plan_of
from dait.arms.plan import ROLE_SEEDS, Surroundings, TrainingStage
from dait.config.arms import Arm
from dait.evaluation import measure_networks, versions
from dait.events import Emit, Note
from dait.models.checkpoint import save_network, save_tensors
from dait.models.network import Network, NetworkSpec, build_network
from dait.progress import StagePlan
from dait.recipe import Recipe
from dait.runs import RunFolder
from dait.tasks.base import Role, Task
from dait.training.loop import Stage, train_stage
from dait.workbench import Workbench, device, teacher_views


def stage_plan(recipe: Recipe, arm: Arm, train_images: int) -> list[StagePlan]:
    """The stages of one arm with their optimiser steps, for progress and ETA."""
    per_epoch = max(1, train_images // recipe.train.batch_size)
    stages = plan_of(arm).stages(recipe)
    return [StagePlan(stage.title, stage.epochs * per_epoch) for stage in stages]


def run_arm(bench: Workbench, arm: Arm, seed: int, folder: RunFolder, emit: Emit) -> dict[str, Any]:
    """Train one arm with one seed into ``folder`` and return what ``result.json`` holds.

    The test split is measured once, after all training. Every arm starts from the same student
    weights for a seed. Raises UserError when training cannot go on.
    """
    started = time.time()
    folder.create({**bench.recipe.model_dump(), "arm": arm, "seed": seed})
    networks, val_top1 = _train_stages(bench, arm, seed, folder, emit)
    folder.write_status(state="evaluating", message=f"Measuring the {bench.measured} split")
    emit(Note(f"measuring the {bench.measured} split"))
    result = {
        "arm": arm,
        "seed": seed,
        **measure_networks(networks, bench.data.split(bench.measured), folder),
        "val_top1": val_top1["student"],
        "teacher": {
            "name": bench.teacher.name,
            "zero_shot_top1": bench.zero_shot["top1"],
            "zero_shot_top5": bench.zero_shot["top5"],
        },
        "seconds": time.time() - started,
        "versions": versions(),
    }
    for role, figures in result["between"].items():
        figures["val_top1"] = val_top1.get(role)
    folder.write_result(result)
    return result


def new_network(bench: Workbench, spec: NetworkSpec, seed: int, role: Role = "student") -> Network:
    """A network with the initial weights that belong to ``seed`` and role, whichever arm asks."""
    torch.manual_seed(seed + ROLE_SEEDS[role])
    network = build_network(spec, len(bench.data.classes), bench.recipe.data.size)
    return network.to(device())


def _train_stages(
    bench: Workbench, arm: Arm, seed: int, folder: RunFolder, emit: Emit
) -> tuple[dict[Role, Network], dict[Role, float]]:
    """The networks that the arm has in the end, and the validation top-1 of those it trained."""
    plan, recipe = plan_of(arm), bench.recipe
    stages = plan.stages(recipe)
    networks, val_top1 = dict[Role, Network](), dict[Role, float]()

    def fresh(role: Role, spec: NetworkSpec) -> Network:
        return new_network(bench, spec, seed, role)

    for index, stage in enumerate(stages):
        network = fresh(stage.role, stage.network)
        vectors, scale = bench.prototypes.vectors, bench.prototypes.logit_scale
        around = Surroundings(recipe, vectors, scale, networks, fresh)
        task = plan.task(stage.role, network, around)
        task.stage = stage.title
        place = Stage(index, len(stages), stage.epochs, seed, recipe.views.distinct)
        val_top1[stage.role] = _train(bench, task, place, emit)
        networks |= {**task.companions, stage.role: network}
        for role in (*task.companions, stage.role):
            said = arm if role == "student" else role
            save_network(folder.weights(role), networks[role], bench.class_keys, arm=said)
        _save_projections(folder, task, stage)
    return networks, val_top1


def _train(bench: Workbench, task: Task, stage: Stage, emit: Emit) -> float:
    views = None
    if task.needs_vlm:
        views = teacher_views(bench.recipe, bench.data, bench.teacher, stage.seed, emit)
        views.announce(bench.recipe.views.count(stage.epochs))
    return train_stage(task.to(device()), bench.data, bench.recipe.train, stage, views, emit)


def _save_projections(folder: RunFolder, task: Task, stage: TrainingStage) -> None:
    tensors = dict(task.projections.state_dict())
    if tensors:
        save_tensors(folder.checkpoints / f"projections-{stage.role}.safetensors", tensors)
