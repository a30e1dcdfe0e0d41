"""The independent student: labels alone."""

from __future__ import annotations

from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.models.network import Network
from dait.tasks.base import Role, Task
from dait.tasks.independent import IndependentTask


class Independent:
    """One stage, no teacher."""

    name: Arm = "independent"
    asks_teacher = False

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The student's."""
        return [TrainingStage("student", recipe.student, recipe.train.epochs)]

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """Cross-entropy."""
        recipe = context.recipe
        return IndependentTask(network, recipe.views.kind, recipe.train.label_smoothing)
