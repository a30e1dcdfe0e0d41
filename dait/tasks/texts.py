"""The zero-shot head of an adapted teacher, beside its linear head."""

from __future__ import annotations

from torch import Tensor, nn

from dait.losses import zero_shot_logits


class TextHead(nn.Module):
    """``κ · norm(P p) · wᵀ``: pooled vectors, projected among the frozen teacher's class texts.

    prototypes: ``(C, d)`` of unit length; logit_scale: κ.
    """

    prototypes: Tensor

    def __init__(self, projection: nn.Module, prototypes: Tensor, logit_scale: float) -> None:
        super().__init__()
        self.projection = projection
        self.logit_scale = logit_scale
        self.register_buffer("prototypes", prototypes, persistent=False)

    def forward(self, pooled: Tensor) -> Tensor:
        """``(B, C)`` logits of pooled vectors ``(B, width)``."""
        return zero_shot_logits(self.projection(pooled), self.prototypes, self.logit_scale)
