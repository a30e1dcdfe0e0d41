"""Who teaches whom by which losses, as the recipe defines it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dait.config.arms import Arm, DaitConfig
from dait.config.recipe import Recipe

VLM, STUDENT, INTERMEDIATE = "vlm", "student", "intermediate"
CLASSIFIER, ASSISTANT = "classifier", "assistant"
LABELS = "labels"

Loss = tuple[str, str]
"""What is matched, and its weight in the loss."""


@dataclass(frozen=True)
class StageView:
    """One stage: ``teacher`` (a role, or None where labels alone teach) and ``learner`` (a role).

    views: the augmentation of the images that all of them see; note: anything else.
    """

    teacher: str | None
    learner: str
    epochs: int
    views: str
    losses: tuple[Loss, ...]
    note: str = ""


def stages_of(recipe: Recipe, arm: Arm) -> tuple[StageView, ...]:
    """The stages of an arm in their order; a loss of weight 0 is not among them."""
    return _STAGES[arm](recipe)


def _independent(recipe: Recipe) -> tuple[StageView, ...]:
    return (_stage(recipe, None, STUDENT, recipe.train.epochs, labels=1.0),)


def _direct(recipe: Recipe) -> tuple[StageView, ...]:
    config = recipe.direct
    matched = {
        "image embeddings, cosine": config.feature_weight,
        _soft("zero-shot logits", config.temperature): config.logit_weight,
        _soft("class-text logits", config.temperature): config.text_weight,
    }
    weight = config.classification_weight
    return (_stage(recipe, VLM, STUDENT, recipe.train.epochs, weight, matched),)


def _vl2lite(recipe: Recipe) -> tuple[StageView, ...]:
    config, share = recipe.vl2lite, recipe.vl2lite.classification_share
    matched = {
        "condensed image embeddings, L1": config.feature_weight,
        _soft("condensed zero-shot logits", config.temperature): config.logit_weight,
    }
    losses = [(name, f"{weight:g}") for name, weight in matched.items() if weight]
    growing = (LABELS, f"0 to {share:.3g}")
    note = "The labels' share grows with every epoch; the other losses have the rest."
    epochs, views = recipe.train.epochs, recipe.views.kind
    return (StageView(VLM, STUDENT, epochs, views, (growing, *losses), note),)


def _dho(recipe: Recipe) -> tuple[StageView, ...]:
    config, share = recipe.dho, recipe.dho.classification_share
    matched = {_soft("zero-shot logits, second head", config.temperature): 1 - share}
    return (_stage(recipe, VLM, STUDENT, recipe.train.epochs, share, matched),)


def _kd(recipe: Recipe) -> tuple[StageView, ...]:
    config, epochs = recipe.kd, recipe.train.epochs
    first = _stage(recipe, None, CLASSIFIER, config.classifier_epochs or epochs, labels=1.0)
    matched = {_soft("its logits", config.temperature): config.logit_weight}
    weight, views = config.classification_weight, config.views
    return (first, _stage(recipe, CLASSIFIER, STUDENT, epochs, weight, matched, views))


def _takd(recipe: Recipe) -> tuple[StageView, ...]:
    config, epochs = recipe.takd, recipe.train.epochs
    zero_shot = {
        _soft("zero-shot logits", config.zero_shot_temperature): config.zero_shot_weight,
    }
    matched = {_soft("its logits", config.temperature): config.logit_weight}
    weight, views = config.classification_weight, config.views
    own = config.assistant_epochs or epochs
    return (
        _stage(recipe, VLM, ASSISTANT, own, weight, zero_shot),
        _stage(recipe, ASSISTANT, STUDENT, epochs, weight, matched, views),
    )


def _dait(recipe: Recipe) -> tuple[StageView, ...]:
    config, epochs = recipe.dait, recipe.train.epochs
    adapting = {
        "image embeddings, cosine": config.representation_weight,
        _soft("class-text logits", config.temperature): config.semantic_weight,
    }
    weight = config.classification_weight
    own = config.stage1_epochs or epochs
    if config.teacher == "first":
        first = _stage(recipe, VLM, INTERMEDIATE, own, weight, adapting)
        terms = _distillation(config)
        second = _stage(recipe, INTERMEDIATE, STUDENT, epochs, 1.0, terms, config.views)
        return (first, second)
    if config.teacher == "random":
        note = "The intermediate teacher never learns: a control."
        terms, views = _distillation(config), config.views
        return (_stage(recipe, INTERMEDIATE, STUDENT, epochs, 1.0, terms, views, note),)
    note = "Both learn at once, on the same views."
    return (
        _stage(recipe, VLM, INTERMEDIATE, epochs, weight, adapting, note=note),
        _stage(recipe, INTERMEDIATE, STUDENT, epochs, 1.0, _distillation(config), note=note),
    )


def _distillation(config: DaitConfig) -> dict[str, float]:
    return {
        "feature maps, cosine per position": config.spatial_weight,
        "pooled vectors, cosine": config.pooled_weight,
        _soft("its logits", config.temperature): config.logit_weight,
        _soft("its class-text logits", config.temperature): config.text_weight,
    }


def _soft(what: str, temperature: float) -> str:
    return f"{what}, KL at τ = {temperature:g}"


def _stage(
    recipe: Recipe,
    teacher: str | None,
    learner: str,
    epochs: int,
    labels: float,
    matched: Mapping[str, float] | None = None,
    views: str | None = None,
    note: str = "",
) -> StageView:
    weights = {LABELS: labels, **(matched or {})}
    losses = tuple((name, f"{weight:g}") for name, weight in weights.items() if weight)
    return StageView(teacher, learner, epochs, views or recipe.views.kind, losses, note)


_STAGES: Mapping[Arm, Callable[[Recipe], tuple[StageView, ...]]] = {
    "independent": _independent,
    "direct": _direct,
    "vl2lite": _vl2lite,
    "dho": _dho,
    "kd": _kd,
    "takd": _takd,
    "dait": _dait,
}
