"""The arms by name, and what each can be told: weights of its losses, temperatures, stages."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from dait.config.section import Section
from dait.data.base import ViewKind

Arm = Literal["independent", "direct", "dait"]
ARMS: tuple[Arm, ...] = get_args(Arm)


class DirectConfig(Section):
    """Direct distillation: CE + λ_f (1 − cos) + λ_k τ² KL to the zero-shot logits."""

    feature_weight: float = Field(2.0, ge=0, le=1000, description="λ_f, pooled cosine")
    logit_weight: float = Field(1.0, ge=0, le=1000, description="λ_k, zero-shot logits")
    temperature: float = Field(2.0, gt=0, le=100, description="τ of the logits")


class DaitConfig(Section):
    """Both stages of DAIT."""

    stage1_epochs: int | None = Field(
        None, ge=1, le=2000, description="Epochs of stage 1; empty: as many as the student's"
    )
    representation_weight: float = Field(1.0, ge=0, le=1000, description="α, stage 1")
    semantic_weight: float = Field(1.0, ge=0, le=1000, description="β, stage 1")
    temperature: float = Field(2.0, gt=0, le=100, description="τ of both stages' logits")
    spatial_weight: float = Field(5.0, ge=0, le=1000, description="λ, stage 2, feature maps")
    pooled_weight: float = Field(0.0, ge=0, le=1000, description="μ, stage 2, pooled vectors")
    logit_weight: float = Field(0.0, ge=0, le=1000, description="ν, stage 2, teacher's logits")
    views: ViewKind = Field("light", description="Augmentation of stage 2")
