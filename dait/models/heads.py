"""Heads besides a network's own: through the class texts, and two heads mixed into one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from dait.losses import zero_shot_logits

MIXED = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
"""α, the own head's weight, as it is tried on the validation split."""

TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""β, the second head's temperature, as it is tried on the validation split."""


class TextHead(nn.Module):
    """``κ · norm(P p) · wᵀ``: pooled vectors, projected among class prototypes.

    projection: ``(B, p)`` → ``(B, d)``; prototypes: ``(C, d)`` of unit length; logit_scale: κ.
    """

    prototypes: Tensor

    def __init__(self, projection: nn.Module, prototypes: Tensor, logit_scale: float) -> None:
        super().__init__()
        self.projection = projection
        self.logit_scale = logit_scale
        self.register_buffer("prototypes", prototypes)

    def forward(self, pooled: Tensor) -> Tensor:
        """``(B, C)`` logits of pooled vectors ``(B, p)``."""
        return zero_shot_logits(self.projection(pooled), self.prototypes, self.logit_scale)


class MixDescription(BaseModel):
    """What a network's file says of its mixed heads.

    kind: ``linear``, a second linear head; ``text``, a projection of the pooled vector and class
    prototypes; ``cosine``, class prototypes of the pooled vector itself. width: of the prototypes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear", "text", "cosine"]
    own_weight: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0)
    width: int = Field(ge=1, le=100_000)
    logit_scale: float = 1.0


class HeadMix(nn.Module):
    """``log(α · softmax(own) + (1 − α) · softmax(second/β))``: one answer of two heads (DHO, Kang
    et al. 2025).

    The logarithm of probabilities, so that its softmax is the mixture. With α = 1 or 0 it is one
    head's logits alone. second: pooled ``(B, p)`` → ``(B, C)``.
    """

    def __init__(self, second: nn.Module, own_weight: float = 0.5, temperature: float = 1.0):
        super().__init__()
        self.second = second
        self.own_weight = own_weight
        self.temperature = temperature

    def forward(self, pooled: Tensor, own: Tensor) -> Tensor:
        """``(B, C)`` of the pooled vectors ``(B, p)`` and the own head's logits ``(B, C)``."""
        return mixed_logits(own, self.second(pooled), self.own_weight, self.temperature)

    def describe(self) -> MixDescription:
        """What ``from_description`` needs to build it again, besides its tensors."""
        kind: Literal["linear", "text", "cosine"] = "linear"
        scale, width = 1.0, 1
        if isinstance(self.second, TextHead):
            kind = "cosine" if isinstance(self.second.projection, nn.Identity) else "text"
            scale, width = self.second.logit_scale, self.second.prototypes.shape[1]
        return MixDescription(
            kind=kind,
            own_weight=self.own_weight,
            temperature=self.temperature,
            width=width,
            logit_scale=scale,
        )

    @staticmethod
    def from_description(described: MixDescription, pooled_width: int, classes: int) -> HeadMix:
        """The same heads without their weights."""
        second: nn.Module = nn.Linear(pooled_width, classes)
        if described.kind != "linear":
            text = described.kind == "text"
            projection = nn.Linear(pooled_width, described.width) if text else nn.Identity()
            prototypes = torch.zeros(classes, described.width)
            second = TextHead(projection, prototypes, described.logit_scale)
        return HeadMix(second, described.own_weight, described.temperature)


def mixed_logits(own: Tensor, second: Tensor, own_weight: float, temperature: float) -> Tensor:
    """``log(α · softmax(own) + (1 − α) · softmax(second/β))`` of logits ``(B, C)``."""
    if own_weight == 1:
        return own
    if own_weight == 0:
        return second / temperature
    weights = torch.tensor([own_weight, 1 - own_weight], device=own.device).log()
    return torch.logaddexp(
        F.log_softmax(own.float(), dim=1) + weights[0],
        F.log_softmax(second.float() / temperature, dim=1) + weights[1],
    )


def best_mix(
    own: Tensor, second: Tensor, labels: Tensor, weights: Sequence[float] = MIXED
) -> tuple[float, float]:
    """α of ``weights`` and β of ``TEMPERATURES`` with the best top-1 on ``(N, C)`` logits and
    labels ``(N,)``; among equals, the smallest cross-entropy."""
    candidates = [(w, t) for w in weights for t in TEMPERATURES]
    found = [_figures(mixed_logits(own, second, w, t), labels) for w, t in candidates]
    return candidates[found.index(max(found))]


def _figures(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    right = (logits.argmax(1) == labels).sum().item()
    return right, -F.cross_entropy(logits, labels).item()
