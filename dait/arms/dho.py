"""Dual-head distillation: labels teach one head, the frozen teacher another."""

from __future__ import annotations

from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.models.network import Network
from dait.tasks.base import Role, Task
from dait.tasks.dho import DhoTask


class Dho:
    """One stage under the frozen teacher; the student answers with both heads, mixed."""

    name: Arm = "dho"
    asks_teacher = True

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The student's."""
        return [TrainingStage("student", recipe.student, recipe.train.epochs, unlabelled=True)]

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """Labels for the network's own head, zero-shot logits for the second."""
        recipe = context.recipe
        return DhoTask(
            network,
            recipe.views.kind,
            context.prototypes,
            context.logit_scale,
            recipe.dho,
            recipe.train.label_smoothing,
        )
