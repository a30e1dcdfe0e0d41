"""DAIT: an intermediate teacher learns from the frozen one, then teaches the student."""

from __future__ import annotations

from dait.arms.plan import Surroundings, TrainingStage
from dait.config.arms import Arm
from dait.models.network import Network
from dait.recipe import Recipe
from dait.tasks.adapt import AdaptTask
from dait.tasks.base import Role, Task
from dait.tasks.distil import DistilTask


class Dait:
    """Two stages."""

    name: Arm = "dait"
    title = "DAIT"

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The intermediate teacher's, then the student's."""
        epochs = recipe.train.epochs
        return [
            TrainingStage("intermediate", recipe.intermediate, recipe.dait.stage1_epochs or epochs),
            TrainingStage("student", recipe.student, epochs),
        ]

    def task(self, role: Role, network: Network, around: Surroundings) -> Task:
        """Stage 1 under the frozen teacher, stage 2 under the intermediate one."""
        recipe, smoothing = around.recipe, around.recipe.train.label_smoothing
        if role == "intermediate":
            return AdaptTask(
                network,
                recipe.views.kind,
                around.prototypes,
                around.logit_scale,
                recipe.dait,
                smoothing,
            )
        intermediate = around.trained["intermediate"]
        return DistilTask(network, recipe.dait.views, intermediate, recipe.dait, smoothing)
