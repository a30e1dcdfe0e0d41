"""The arms by name, and the settings of each: weights of its losses, temperatures, stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field, model_validator

from dait.config.section import Section
from dait.data.base import ViewKind
from dait.models.spec import NetworkSpec

Arm = Literal["independent", "direct", "vl2lite", "dho", "kd", "takd", "dait"]
ARMS: tuple[Arm, ...] = get_args(Arm)
DEFAULT_ARMS: tuple[Arm, ...] = ("independent", "direct", "dait")
"""What a study trains where nobody says which: the paper's own comparison."""

# Here and not beside the plans: the app says them before torch is imported.
SUMMARIES: Mapping[str, str] = {
    "independent": "learns from the labels alone",
    "direct": "learns from the labels and from the frozen teacher itself",
    "vl2lite": "learns from the frozen teacher condensed to the student's width, as published",
    "dho": "learns from the labels with one head and from the frozen teacher with another",
    "kd": "learns from a classifier that was trained by the labels alone",
    "takd": "learns from a larger assistant that learned from the frozen teacher's answers",
    "dait": "learns from an intermediate teacher that first learned from the frozen one",
}
"""How the student learns, in half a sentence."""

ARM_TITLES: Mapping[str, str] = {
    "independent": "Independent student",
    "direct": "Direct distillation",
    "dait": "DAIT",
    "vl2lite": "VL2Lite",
    "dho": "Dual-head distillation",
    "kd": "Logit distillation",
    "takd": "Teacher assistant",
    "intermediate": "Intermediate teacher",
    "vlm": "Frozen teacher",
}
"""Titles of the arms, and of the teachers that a study compares with them."""

TEACHER_TITLES: Mapping[str, str] = {
    "classifier": "Teaching classifier",
    "assistant": "Teaching assistant",
}
"""Titles of networks that teach in one arm alone: they stand in tables only."""


def arm_title(arm: str) -> str:
    """The title of an arm or of a teacher's role; any other name as it is."""
    return {**ARM_TITLES, **TEACHER_TITLES}.get(arm, arm)


HEAD = "Which head answers: own, text (the one that the teacher trains), or both, mixed"

Head = Literal["own", "text", "both"]
"""Which head of a student answers: its own, which the labels train; the one that the teacher's
answers train; or a mixture of both, chosen on the validation split."""


class DirectConfig(Section):
    """Direct distillation: CE + λ_f (1 − cos) + (λ_k + λ_t) τ² KL to the zero-shot logits.

    λ_k teaches them to the student's own head, λ_t to its place among the class texts.
    """

    classification_weight: float = Field(1.0, ge=0, le=1000, description="Weight of the labels")
    feature_weight: float = Field(2.0, ge=0, le=1000, description="λ_f, pooled cosine")
    logit_weight: float = Field(1.0, ge=0, le=1000, description="λ_k, zero-shot logits")
    text_weight: float = Field(
        0.0, ge=0, le=1000, description="λ_t, zero-shot logits to the place among the class texts"
    )
    temperature: float = Field(2.0, gt=0, le=100, description="τ of the logits")
    head: Head = Field("own", description=HEAD)

    @model_validator(mode="after")
    def _something_to_learn(self) -> DirectConfig:
        _need(self, "classification_weight", "feature_weight", "logit_weight", "text_weight")
        if self.head != "own" and not (self.feature_weight or self.text_weight):
            raise _head_untrained(self.head, "feature_weight or text_weight")
        return self


class Vl2LiteConfig(Section):
    """VL2Lite; the defaults are those of its published code."""

    classification_share: float = Field(
        1 / 8,
        ge=0,
        le=1,
        description="Weight of the labels at the end, growing evenly from 0; distillation has the "
        "rest",
    )
    feature_weight: float = Field(0.5, ge=0, le=1000, description="L1 within the distillation")
    logit_weight: float = Field(0.5, ge=0, le=1000, description="KL within the distillation")
    temperature: float = Field(2.0, gt=0, le=100, description="τ of the logits")
    logit_scale: float = Field(
        1 / 0.07, gt=0, le=1000, description="κ of both sides' logits, whatever the teacher's own"
    )
    head: Head = Field("own", description=HEAD)

    @model_validator(mode="after")
    def _something_to_learn(self) -> Vl2LiteConfig:
        _need(self, "feature_weight", "logit_weight")
        if self.head != "own" and not self.logit_weight:
            raise _head_untrained(self.head, "logit_weight")
        return self


class DhoConfig(Section):
    """Dual-head distillation: λ CE of one linear head + (1 − λ) τ² KL of another.

    The two answers are mixed, with weights that are chosen on the validation split.
    """

    classification_share: float = Field(
        0.5, gt=0, lt=1, description="λ, weight of the labels; distillation has the rest"
    )
    temperature: float = Field(2.0, gt=0, le=100, description="τ of the logits")


class KdConfig(Section):
    """Distillation of a classifier's logits: CE + λ τ² KL, in the classifier's turn CE alone."""

    network: NetworkSpec | None = Field(
        None, description="The classifier that teaches; empty: the intermediate teacher's network"
    )
    classifier_epochs: int | None = Field(
        None, ge=1, le=2000, description="Epochs of the classifier; empty: as the student's"
    )
    classification_weight: float = Field(
        1.0, ge=0, le=1000, description="Weight of the labels for the student"
    )
    logit_weight: float = Field(1.0, ge=0, le=1000, description="λ, the classifier's logits")
    temperature: float = Field(4.0, gt=0, le=100, description="τ of the logits")
    views: ViewKind | None = Field(
        None, description="Augmentation of the student's stage; empty: as views.kind"
    )
    head: Head = Field("own", description=HEAD)

    @model_validator(mode="after")
    def _something_to_learn(self) -> KdConfig:
        _need(self, "classification_weight", "logit_weight")
        if self.head != "own" and not self.logit_weight:
            raise _head_untrained(self.head, "logit_weight")
        return self


class TakdConfig(Section):
    """Teacher-assistant chain: the frozen teacher's logits to an assistant, its own to the student.

    The assistant should be larger than the student. Where none is named it is the intermediate
    teacher's network if that is larger, else the student's own at twice its width if its options
    say how wide it is (``channels``), else ``resnet34``.
    """

    network: NetworkSpec | None = Field(
        None, description="The assistant; empty: a network larger than the student"
    )
    assistant_epochs: int | None = Field(
        None, ge=1, le=2000, description="Epochs of the assistant; empty: as the student's"
    )
    classification_weight: float = Field(
        1.0, ge=0, le=1000, description="Weight of the labels in both stages"
    )
    zero_shot_weight: float = Field(
        1.0, ge=0, le=1000, description="Frozen teacher's zero-shot logits to the assistant"
    )
    zero_shot_temperature: float = Field(2.0, gt=0, le=100, description="τ of the zero-shot logits")
    logit_weight: float = Field(1.0, ge=0, le=1000, description="Assistant's logits to the student")
    temperature: float = Field(4.0, gt=0, le=100, description="τ of the assistant's logits")
    views: ViewKind | None = Field(
        None, description="Augmentation of the student's stage; empty: as views.kind"
    )
    head: Head = Field("own", description=HEAD)

    @model_validator(mode="after")
    def _something_to_learn(self) -> TakdConfig:
        _need(self, "classification_weight", "zero_shot_weight")
        _need(self, "classification_weight", "logit_weight")
        if self.head != "own" and not self.logit_weight:
            raise _head_untrained(self.head, "logit_weight")
        return self


class DaitConfig(Section):
    """Both stages of DAIT. A loss of weight 0 is not computed: these are its ablations."""

    teacher: Literal["first", "joint", "random"] = Field(
        "first",
        description="The intermediate teacher learns first, or jointly with the student (on "
        "views.kind, for the student's epochs); random: it never learns, a control",
    )
    stage1_epochs: int | None = Field(
        None,
        ge=1,
        le=2000,
        description="Epochs of stage 1, where there is one; empty: as the student's",
    )
    classification_weight: float = Field(
        1.0, ge=0, le=1000, description="Weight of the labels in stage 1"
    )
    representation_weight: float = Field(1.0, ge=0, le=1000, description="α, stage 1")
    semantic_weight: float = Field(1.0, ge=0, le=1000, description="β, stage 1")
    temperature: float = Field(2.0, gt=0, le=100, description="τ of both stages' logits")
    spatial_weight: float = Field(5.0, ge=0, le=1000, description="λ, stage 2, feature maps")
    pooled_weight: float = Field(0.0, ge=0, le=1000, description="μ, stage 2, pooled vectors")
    logit_weight: float = Field(0.0, ge=0, le=1000, description="ν, stage 2, teacher's logits")
    text_weight: float = Field(
        0.0, ge=0, le=1000, description="ξ, stage 2, teacher's answers through the class texts"
    )
    views: ViewKind = Field("light", description="Augmentation of stage 2")
    head: Head = Field("own", description=HEAD)

    @model_validator(mode="after")
    def _something_to_learn(self) -> DaitConfig:
        _need(self, "classification_weight", "representation_weight", "semantic_weight")
        if self.logit_weight and not self.classification_weight and self.teacher != "random":
            raise ValueError(
                f"logit_weight is {self.logit_weight:g} with a classification_weight of 0: the "
                "intermediate teacher's own head never learns, so its logits would teach noise. "
                "Set logit_weight to 0, or classification_weight above 0."
            )
        aligned = self.representation_weight or self.semantic_weight
        if self.text_weight and not (aligned and self.teacher == "first"):
            raise ValueError(
                f"text_weight is {self.text_weight:g}, but only an intermediate teacher that has "
                "learned first, with a representation_weight or a semantic_weight, has a place "
                "among the class texts. Set text_weight to 0, or one of these above 0."
            )
        if self.head != "own" and not self.text_weight:
            raise _head_untrained(self.head, "text_weight")
        return self


def _head_untrained(head: Head, weights: str) -> ValueError:
    return ValueError(
        f"head is {head}, but without a {weights} nothing trains the student's second head. Give "
        "it a weight, or set head to own."
    )


def _need(section: Section, *weights: str) -> None:
    """Raise ValueError where all of these weights are 0."""
    if not any(getattr(section, name) for name in weights):
        names = " and ".join((", ".join(weights[:-1]), weights[-1]))
        raise ValueError(
            f"{names} are 0, which leaves nothing to learn. Give at least one of them a weight."
        )
