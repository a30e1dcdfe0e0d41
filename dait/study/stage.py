"""One stage of a run: a network trained, taken from an earlier run, or read where it is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dait.arms.catalogue import plan_of
from dait.arms.plan import ROLE_SEEDS, TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.data.pool import pool_size, training_images
from dait.distributed import World, device, on_main
from dait.events import Emit, StageSkipped
from dait.models.checkpoint import LoadedNetwork, load_network, save_network, save_tensors
from dait.models.network import Network, NetworkSpec, build_network
from dait.models.tensors import load_tensors
from dait.runs.folder import RunFolder, to_json
from dait.runs.progress import StagePlan
from dait.study.context import StudyContext, teacher_views
from dait.study.provenance import KEY, provenance
from dait.study.reuse import reuse_first_stage
from dait.tasks.base import Role, Task
from dait.training.batches import rounds_of, steps_of
from dait.training.checkpoint import StepCheckpoints
from dait.training.loop import train_stage
from dait.training.views import StagePosition

_VAL_TOP1, _COMPANIONS = "val_top1", "companions"
"""Keys in a network's file: its validation top-1, and the further networks of its stage."""


def stage_plan(recipe: Recipe, arm: Arm, train_images: int) -> list[StagePlan]:
    """The stages of one arm with their optimiser steps, for progress and ETA.

    train_images: with the unlabelled ones, whether or not the arm learns from them.
    """
    per_epoch = max(1, train_images // recipe.train.batch_size)
    stages = plan_of(arm).stages(recipe)
    return [StagePlan(stage.title, stage.epochs * per_epoch) for stage in stages]


def new_network(
    context: StudyContext, spec: NetworkSpec, seed: int, role: Role = "student"
) -> Network:
    """A network with the initial weights that belong to ``seed`` and role, whichever arm asks."""
    torch.manual_seed(seed + ROLE_SEEDS[role])
    network = build_network(spec, len(context.data.classes), context.recipe.data.size)
    return network.to(device())


@dataclass(frozen=True)
class Stages:
    """The stages of one run: of ``arm`` with ``seed`` into ``folder``.

    Of several processes of one training (``world``) all go through them and see the same folder;
    the main one writes.
    """

    context: StudyContext
    arm: Arm
    seed: int
    folder: RunFolder
    emit: Emit
    world: World

    def train(self) -> tuple[dict[Role, Network], dict[Role, float]]:
        """All networks that the arm has in the end, and the validation top-1 of those it trained.

        After its stage a network is read from its file, whether or not it was trained just now:
        what comes after cannot tell. Raises UserError when training cannot continue.
        """
        context, folder = self.context, self.folder
        stages = plan_of(self.arm).stages(context.recipe)
        planned = stage_plan(context.recipe, self.arm, pool_size(context.data))
        networks, val_top1 = dict[Role, Network](), dict[Role, float]()
        for index, stage in enumerate(stages):
            checkpoints = StepCheckpoints(folder.checkpoints / f"steps-{stage.role}.pt")
            distinct = context.recipe.views.distinct
            position = StagePosition(
                index, len(stages), stage.epochs, self.seed, distinct, stage.unlabelled
            )
            if self._is_trained(stages, index):
                self.emit(StageSkipped(stage.title, index, len(stages), planned[index].steps))
            else:
                self._train(stage, position, networks, checkpoints)
            on_main(self.world, checkpoints.discard)
            trained = self._load(stage.role)
            val_top1[stage.role] = float(trained.description.extra.get(_VAL_TOP1, "nan"))
            extra_networks = trained.description.extra.get(_COMPANIONS, "").split()
            for role in (role for role in ROLE_SEEDS if role in extra_networks):
                networks[role] = self._load(role).network
            networks[stage.role] = trained.network
        return networks, val_top1

    def _is_trained(self, stages: list[TrainingStage], index: int) -> bool:
        """Whether the stage is over: then its network has a file, perhaps of an earlier run."""
        stage, context = stages[index], self.context
        file = self.folder.weights(stage.role)

        def is_trained() -> bool:
            if index == 0 and context.earlier and not file.exists():
                start = new_network(context, stage.network, self.seed, stage.role)
                made_of = provenance(context, start, self.folder)
                reuse_first_stage(context, stages, self.seed, self.folder, made_of, self.emit)
            return file.exists()

        return on_main(self.world, is_trained)

    def _train(
        self,
        stage: TrainingStage,
        position: StagePosition,
        networks: dict[Role, Network],
        checkpoints: StepCheckpoints,
    ) -> None:
        context = self.context
        task = self._task(stage, networks).to(device())
        # Before training, which changes the network in place.
        made_of = provenance(context, task.network, self.folder) if self.world.is_main else {}
        views = None
        if task.needs_vlm:
            views = teacher_views(
                context.recipe,
                context.data,
                context.teacher,
                self.seed,
                self.emit,
                stage.unlabelled,
            )
            views.announce(context.recipe.views.count(self._rounds(stage)))
        config = context.recipe.train
        top1 = train_stage(task, context.data, config, position, views, self.emit, checkpoints)
        extra = {
            _VAL_TOP1: repr(top1),
            _COMPANIONS: " ".join(task.extra_networks),
            KEY: to_json(made_of),
        }
        on_main(self.world, lambda: self._save(stage, task, extra))

    def _rounds(self, stage: TrainingStage) -> int:
        """How often the stage goes round its images."""
        size, images = self.context.recipe.train.batch_size, pool_size(self.context.data)
        own = training_images(self.context.data, stage.unlabelled)
        return rounds_of(stage.epochs, steps_of(images, size), steps_of(len(own), size))

    def _task(self, stage: TrainingStage, networks: dict[Role, Network]) -> Task:
        def fresh(role: Role, spec: NetworkSpec) -> Network:
            return new_network(self.context, spec, self.seed, role)

        network, prototypes = fresh(stage.role, stage.network), self.context.prototypes
        files = {role: self.folder.projections(role) for role in networks}
        context = TaskContext(
            self.context.recipe,
            prototypes.vectors,
            prototypes.logit_scale,
            networks,
            fresh,
            {role: load_tensors(file) for role, file in files.items() if file.exists()},
        )
        task = plan_of(self.arm).task(stage.role, network, context)
        task.stage = stage.title
        return task

    def _save(self, stage: TrainingStage, task: Task, extra: dict[str, str]) -> None:
        """Write what a stage made; its own network last, which says that the stage is over."""
        tensors = dict(task.projections.state_dict())
        if tensors:
            save_tensors(self.folder.projections(stage.role), tensors)
        for role, network in task.extra_networks.items():
            self._save_network(role, network)
        self._save_network(stage.role, task.network, extra)

    def _save_network(
        self, role: Role, network: Network, extra: dict[str, str] | None = None
    ) -> None:
        arm = self.arm if role == "student" else role
        file = self.folder.weights(role)
        save_network(file, network, self.context.class_keys, arm=arm, extra=extra)

    def _load(self, role: Role) -> LoadedNetwork:
        loaded = load_network(self.folder.weights(role))
        loaded.network.to(device())
        if self.context.recipe.train.channels_last:
            # As it was in training: another order of the weights in memory may round otherwise.
            loaded.network.to(memory_format=torch.channels_last)
        return loaded
