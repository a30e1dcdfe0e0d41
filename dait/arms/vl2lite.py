"""VL2Lite: the frozen teacher's features and texts, condensed to the student's width."""

from __future__ import annotations

from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.models.network import Network
from dait.tasks.base import Role, Task
from dait.tasks.vl2lite import Vl2LiteTask


class Vl2Lite:
    """One stage under the frozen teacher. The losses are the published ones, the rest ours."""

    name: Arm = "vl2lite"
    asks_teacher = True

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The student's."""
        return [TrainingStage("student", recipe.student, recipe.train.epochs, unlabelled=True)]

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """The frozen teacher's condensed features and texts, and labels of growing weight."""
        recipe = context.recipe
        return Vl2LiteTask(
            network,
            recipe.views.kind,
            context.prototypes,
            recipe.vl2lite,
            recipe.train.label_smoothing,
        )
