"""Teacher assistant: the frozen teacher's logits reach the student through a larger network."""

from __future__ import annotations

from functools import lru_cache

from dait.arms.plan import TaskContext, TrainingStage
from dait.config.arms import Arm, DirectConfig
from dait.config.recipe import Recipe
from dait.models.cost import count_parameters
from dait.models.network import Network, shapes_at
from dait.models.spec import NetworkSpec
from dait.tasks.base import Role, Task
from dait.tasks.direct import DirectTask
from dait.tasks.logits import LogitTask

STAGE_ONE = {"classification_weight", "zero_shot_weight", "zero_shot_temperature"}
"""Settings that the assistant's training depends on; all others are of the student's stage."""


class Takd:
    """Two stages, logits alone in both (Mirzadeh et al. 2020)."""

    name: Arm = "takd"
    asks_teacher = True

    def stages(self, recipe: Recipe) -> list[TrainingStage]:
        """The assistant's, then the student's."""
        epochs = recipe.train.epochs
        network = recipe.takd.network or default_assistant(recipe)
        settings = recipe.takd.model_dump(include=STAGE_ONE)
        first = recipe.takd.assistant_epochs or epochs
        return [
            TrainingStage("assistant", network, first, settings, unlabelled=True),
            TrainingStage("student", recipe.student, epochs, unlabelled=True),
        ]

    def task(self, role: Role, network: Network, context: TaskContext) -> Task:
        """Labels and the next larger teacher's logits: the frozen one's, then the assistant's."""
        recipe, config = context.recipe, context.recipe.takd
        smoothing = recipe.train.label_smoothing
        if role == "student":
            views = config.views or recipe.views.kind
            return LogitTask(network, views, context.trained["assistant"], config, smoothing)
        # The assistant's turn is direct distillation without its feature term.
        logits_alone = DirectConfig(
            classification_weight=config.classification_weight,
            feature_weight=0,
            logit_weight=config.zero_shot_weight,
            temperature=config.zero_shot_temperature,
        )
        task = DirectTask(
            network,
            recipe.views.kind,
            context.prototypes,
            context.logit_scale,
            logits_alone,
            smoothing,
        )
        task.notes = _notes(network, context.new_network("student", recipe.student))
        return task


def default_assistant(recipe: Recipe) -> NetworkSpec:
    """The assistant where a recipe names none (our choice).

    The intermediate teacher's network and start where it is larger than the student: then both
    teach from the same weights. Else, at the student's stride, the student's own network at twice
    its width where ``channels`` says how wide it is, or ``resnet34`` (21 million parameters),
    pretrained if the student is.
    """
    student, size = recipe.student, recipe.data.size
    if _parameters(recipe.intermediate, size) > _parameters(student, size):
        return recipe.intermediate
    if "channels" not in student.options:
        return NetworkSpec(
            name="resnet34", pretrained=student.pretrained, output_stride=student.output_stride
        )
    options = dict(student.options)
    options["channels"] = [2 * width for width in options["channels"]]
    if "stem_width" in options:
        options["stem_width"] = 2 * options["stem_width"]
    return NetworkSpec(name=student.name, output_stride=student.output_stride, options=options)


def _parameters(spec: NetworkSpec, image_size: int) -> int:
    """0 where the network cannot be built, which is said where it is."""
    return _counted(spec.model_dump_json(exclude={"weights", "pretrained"}), image_size)


@lru_cache(maxsize=100)  # the stages of an arm are asked for often
def _counted(spec: str, image_size: int) -> int:
    shapes = shapes_at(NetworkSpec.model_validate_json(spec), 2, [image_size])
    return next(map(count_parameters, shapes), 0)


def _notes(assistant: Network, student: Network) -> tuple[str, ...]:
    sizes = [count_parameters(network) for network in (assistant, student)]
    if sizes[0] > sizes[1]:
        return ()
    return (
        f"The assistant {assistant.spec.name} has {sizes[0]:,} parameters and the student "
        f"{student.spec.name} {sizes[1]:,}: a teacher assistant should be the larger one. Name "
        "another with takd.network.",
    )
