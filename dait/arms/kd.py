"""Logit distillation: a classifier that learned from labels teaches by its logits."""

from __future__ import annotations

from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.models.network import Network
from dait.tasks.base import Role, Task
from dait.tasks.independent import IndependentTask
from dait.tasks.logits import LogitTask


class Kd:
    """Two stages, no frozen teacher."""

    name: Arm = "kd"
    asks_teacher = False

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The classifier's, then the student's."""
        epochs = recipe.train.epochs
        network = recipe.kd.network or recipe.intermediate
        return [
            TrainingStage("classifier", network, recipe.kd.classifier_epochs or epochs),
            TrainingStage("student", recipe.student, epochs, unlabelled=True),
        ]

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """Labels for the classifier; labels and its logits for the student."""
        recipe, config = context.recipe, context.recipe.kd
        smoothing = recipe.train.label_smoothing
        if role == "classifier":
            return IndependentTask(network, recipe.views.kind, smoothing)
        views = config.views or recipe.views.kind
        return LogitTask(network, views, context.trained["classifier"], config, smoothing)
