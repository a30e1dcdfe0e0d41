"""One run from its recipe to its result: the stages of its arm, evaluation, export."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch

from dait.arms.catalogue import plan_of
from dait.arms.plan import ROLE_SEEDS, TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe, parse_recipe
from dait.distributed import ALONE, World, device, on_main
from dait.errors import UserError
from dait.evaluation.measure import measure_networks, runtime, versions
from dait.events import Emit, Note, StageKept
from dait.models.checkpoint import LoadedNetwork, load_network, save_network, save_tensors
from dait.models.network import Network, NetworkSpec, build_network
from dait.models.tensors import load_tensors
from dait.runs.folder import RunFolder, to_json
from dait.runs.progress import StagePlan
from dait.study.context import StudyContext, teacher_views
from dait.study.provenance import KEY, kept_provenance, provenance
from dait.study.reuse import take_over
from dait.tasks.base import Role, Task
from dait.training.checkpoint import StepCheckpoints
from dait.training.loop import train_stage
from dait.training.views import StagePosition

_VAL_TOP1, _COMPANIONS = "val_top1", "companions"
"""What a network's file says of its training: the figure, and the networks that belong to it."""


def stage_plan(recipe: Recipe, arm: Arm, train_images: int) -> list[StagePlan]:
    """The stages of one arm with their optimiser steps, for progress and ETA."""
    per_epoch = max(1, train_images // recipe.train.batch_size)
    stages = plan_of(arm).stages(recipe)
    return [StagePlan(stage.title, stage.epochs * per_epoch) for stage in stages]


def run_arm(
    context: StudyContext,
    arm: Arm,
    seed: int,
    folder: RunFolder,
    emit: Emit,
    resume: bool = False,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train one arm with one seed into ``folder`` and return what ``result.json`` holds.

    ``context.measured`` is measured once, after all training. Every arm starts from the same
    student weights for a seed. resume: go on with the run in ``folder``, if it holds one: a stage
    whose network is there is not repeated, the one that was cut off goes on from its last
    checkpoint, and on the CPU, with as many threads, the weights are those of a run that was not
    cut off. Of several processes of one training (``world``) all call this and see the same folder;
    the main one writes. Raises UserError when training cannot go on.
    """
    started = time.time()
    on_main(world, lambda: _open(folder, context.recipe, arm, seed, resume))
    networks, val_top1 = _train_stages(context, arm, seed, folder, emit, world)

    def measure() -> dict[str, Any]:
        folder.write_status(state="evaluating", message=f"Measuring the {context.measured} split")
        emit(Note(f"measuring the {context.measured} split"))
        figures = measure_networks(
            networks, context.data.split(context.measured), folder, context.data.fingerprint
        )
        for role, found in figures["between"].items():
            found["val_top1"] = val_top1.get(role)
        result = {
            "arm": arm,
            "seed": seed,
            **figures,
            "val_top1": val_top1["student"],
            "teacher": {
                "name": context.teacher.name,
                "zero_shot_top1": context.zero_shot["top1"],
                "zero_shot_top5": context.zero_shot["top5"],
            },
            "taken": folder.status().get("taken", {}),
            "seconds": float(folder.status().get("seconds_before", 0)) + time.time() - started,
            "versions": versions(),
            "runtime": runtime(),
            "made_of": {role: kept_provenance(folder.weights(role)) for role in networks},
        }
        folder.write_result(result)
        return folder.result() or {}

    return on_main(world, measure)


def new_network(
    context: StudyContext, spec: NetworkSpec, seed: int, role: Role = "student"
) -> Network:
    """A network with the initial weights that belong to ``seed`` and role, whichever arm asks."""
    torch.manual_seed(seed + ROLE_SEEDS[role])
    network = build_network(spec, len(context.data.classes), context.recipe.data.size)
    return network.to(device())


def _open(folder: RunFolder, recipe: Recipe, arm: Arm, seed: int, resume: bool) -> None:
    if not (resume and folder.begun):
        folder.create({**recipe.model_dump(), "arm": arm, "seed": seed})
        return
    config = folder.config()
    same = (config.pop("arm", None), config.pop("seed", None)) == (arm, seed)
    if not same or parse_recipe(config, str(folder.path / "config.yaml")) != recipe:
        raise UserError(
            f"{folder.path} holds a run of another recipe, arm or seed than its study's. Move it "
            "away, or start a new study."
        )


def _train_stages(
    context: StudyContext, arm: Arm, seed: int, folder: RunFolder, emit: Emit, world: World
) -> tuple[dict[Role, Network], dict[Role, float]]:
    """The networks that the arm has in the end, and the validation top-1 of those it trained.

    After its stage a network is read from its file, whether or not it was trained just now: what
    comes after cannot tell.
    """
    stages = plan_of(arm).stages(context.recipe)
    planned = stage_plan(context.recipe, arm, len(context.data.split("train")))
    networks, val_top1 = dict[Role, Network](), dict[Role, float]()
    for index, stage in enumerate(stages):
        steps = StepCheckpoints(folder.checkpoints / f"steps-{stage.role}.pt")
        place = StagePosition(index, len(stages), stage.epochs, seed, context.recipe.views.distinct)

        def is_trained(index: int = index, stage: TrainingStage = stage) -> bool:
            if index == 0 and context.earlier and not _is_there(folder, stage):
                start = new_network(context, stage.network, seed, stage.role)
                take_over(context, stages, seed, folder, provenance(context, start, folder), emit)
            return _is_there(folder, stage)

        if on_main(world, is_trained):
            emit(StageKept(stage.title, index, len(stages), planned[index].steps))
        else:
            task = _task(context, arm, stage, seed, networks, folder)
            # Now, because training is done in place.
            made_of = provenance(context, task.network, folder) if world.is_main else {}
            found = _train(context, task, place, emit, steps)
            save = partial(_save, context, arm, stage, task, found, folder, made_of)
            on_main(world, save)
        on_main(world, steps.discard)
        trained = _load(context, folder, stage.role)
        val_top1[stage.role] = float(trained.description.extra.get(_VAL_TOP1, "nan"))
        for role in _companions(trained):
            networks[role] = _load(context, folder, role).network
        networks[stage.role] = trained.network
    return networks, val_top1


def _task(
    context: StudyContext,
    arm: Arm,
    stage: TrainingStage,
    seed: int,
    networks: dict[Role, Network],
    folder: RunFolder,
) -> Task:
    def fresh(role: Role, spec: NetworkSpec) -> Network:
        return new_network(context, spec, seed, role)

    network = fresh(stage.role, stage.network)
    vectors, scale = context.prototypes.vectors, context.prototypes.logit_scale
    files = {role: folder.projections(role) for role in networks}
    kept = {role: load_tensors(file) for role, file in files.items() if file.exists()}
    around = TaskContext(context.recipe, vectors, scale, networks, fresh, kept)
    task = plan_of(arm).task(stage.role, network, around)
    task.stage = stage.title
    return task


def _train(
    context: StudyContext, task: Task, stage: StagePosition, emit: Emit, keep: StepCheckpoints
) -> float:
    views = None
    if task.needs_vlm:
        views = teacher_views(context.recipe, context.data, context.teacher, stage.seed, emit)
        views.announce(context.recipe.views.count(stage.epochs))
    task = task.to(device())
    return train_stage(task, context.data, context.recipe.train, stage, views, emit, keep)


def _save(
    context: StudyContext,
    arm: Arm,
    stage: TrainingStage,
    task: Task,
    top1: float,
    folder: RunFolder,
    made_of: dict[str, Any],
) -> None:
    """Write what a stage made; its own network last, which says that the stage is over."""
    tensors = dict(task.projections.state_dict())
    if tensors:
        save_tensors(folder.projections(stage.role), tensors)
    for role, network in task.companions.items():
        said = arm if role == "student" else role
        save_network(folder.weights(role), network, context.class_keys, arm=said)
    said = arm if stage.role == "student" else stage.role
    about = {_VAL_TOP1: repr(top1), _COMPANIONS: " ".join(task.companions)}
    about[KEY] = to_json(made_of)
    save_network(
        folder.weights(stage.role), task.network, context.class_keys, arm=said, extra=about
    )


def _is_there(folder: RunFolder, stage: TrainingStage) -> bool:
    """Whether the stage is over: then its network has a file."""
    return folder.weights(stage.role).exists()


def _load(context: StudyContext, folder: RunFolder, role: Role) -> LoadedNetwork:
    loaded = load_network(folder.weights(role))
    loaded.network.to(device())
    if context.recipe.train.channels_last:
        # As it was in training: another order of the weights in memory may round otherwise.
        loaded.network.to(memory_format=torch.channels_last)
    return loaded


def _companions(trained: LoadedNetwork) -> list[Role]:
    names = trained.description.extra.get(_COMPANIONS, "").split()
    return [role for role in ROLE_SEEDS if role in names]
