"""DAIT: an intermediate teacher learns from the frozen one, then teaches the student."""

from __future__ import annotations

from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.models.heads import TextHead
from dait.models.network import Network
from dait.tasks.adapt import TO_VLM, AdaptTask
from dait.tasks.base import Role, Task, projection
from dait.tasks.distil import DistilTask
from dait.tasks.joint import JointTask

STAGE_ONE = {"classification_weight", "representation_weight", "semantic_weight", "temperature"}
"""Settings that the intermediate teacher's training depends on; all others are of stage 2."""


class Dait:
    """Two stages; or one, where the teacher learns jointly with the student or never."""

    name: Arm = "dait"
    asks_teacher = True

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The intermediate teacher's, then the student's."""
        epochs = recipe.train.epochs
        student = TrainingStage("student", recipe.student, epochs, unlabelled=True)
        if recipe.dait.teacher != "first":
            return [student]
        epochs = recipe.dait.stage1_epochs or epochs
        settings = recipe.dait.model_dump(include=STAGE_ONE)
        # Without an alignment there is nothing to learn from an image without a label.
        aligns = bool(recipe.dait.representation_weight or recipe.dait.semantic_weight)
        first = TrainingStage("intermediate", recipe.intermediate, epochs, settings, aligns)
        return [first, student]

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """Stage 1 under the frozen teacher, stage 2 under the intermediate one, or both at once."""
        recipe, smoothing = context.recipe, context.recipe.train.label_smoothing
        config = recipe.dait
        if role == "intermediate":
            return _adapt(network, context)
        if config.teacher == "first":
            intermediate = context.trained["intermediate"]
            texts = _text_head(intermediate, context) if config.text_weight else None
            return DistilTask(network, config.views, intermediate, config, smoothing, texts)
        intermediate = context.new_network("intermediate", recipe.intermediate)
        if config.teacher == "joint":
            return JointTask(network, recipe.views.kind, _adapt(intermediate, context), smoothing)
        task = DistilTask(network, config.views, intermediate, config, smoothing)
        task.extra_networks = {"intermediate": intermediate}
        return task


def _text_head(intermediate: Network, context: TaskContext) -> TextHead:
    """With the projection that stage 1 has left."""
    kept = context.projections.get("intermediate")
    if kept is None:
        raise UserError(
            "dait.text_weight needs the projection of the intermediate teacher to the class texts, "
            "but checkpoints/projections-intermediate.safetensors of this run is missing. Put it "
            "back, or train the run again."
        )
    place = projection(intermediate.pooled_width, context.prototypes.shape[1])
    place.load_state_dict({key: kept[f"{TO_VLM}.{key}"] for key in ("weight", "bias")})
    return TextHead(place, context.prototypes, context.logit_scale)


def _adapt(network: Network, context: TaskContext) -> AdaptTask:
    recipe = context.recipe
    return AdaptTask(
        network,
        recipe.views.kind,
        context.prototypes,
        context.logit_scale,
        recipe.dait,
        recipe.train.label_smoothing,
    )
