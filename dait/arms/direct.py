"""Direct distillation: the frozen teacher teaches the student itself."""

from __future__ import annotations

from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.models.network import Network
from dait.tasks.base import Role, Task
from dait.tasks.direct import DirectTask


class Direct:
    """One stage under the frozen teacher."""

    name: Arm = "direct"
    asks_teacher = True

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The student's."""
        return [TrainingStage("student", recipe.student, recipe.train.epochs, unlabelled=True)]

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """Labels, the frozen teacher's features and its zero-shot logits."""
        recipe = context.recipe
        return DirectTask(
            network,
            recipe.views.kind,
            context.prototypes,
            context.logit_scale,
            recipe.direct,
            recipe.train.label_smoothing,
        )
