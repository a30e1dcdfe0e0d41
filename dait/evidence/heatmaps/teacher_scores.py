"""A frozen teacher as a network that can be explained: zero-shot classes, or any sentence."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.teachers.base import FrozenTeacher
from dait.teachers.prompt_warnings import truncate


class TeacherScores(nn.Module):
    """A frozen teacher as a classifier to explain: logits = κ · embedding · prototype.

    ``prototypes`` is ``(C, d)`` of unit length; ``logit_scale`` is κ, by default the teacher's
    own (a vision-only teacher has none: it goes with the prototypes). The teacher keeps its own
    weights: nothing is copied here.
    """

    prototypes: Tensor

    def __init__(
        self, teacher: FrozenTeacher, prototypes: Tensor, logit_scale: float | None = None
    ) -> None:
        super().__init__()
        self.teacher = teacher
        self.logit_scale = teacher.logit_scale if logit_scale is None else logit_scale
        if not isinstance(teacher, nn.Module):
            # Registered, so that .to(), .float() and deep copies reach the weights.
            self.model = cast(Any, teacher).model
        self.register_buffer("prototypes", prototypes.detach().clone(), persistent=False)

    def asked(self, sentence: str) -> TeacherScores:
        """The same teacher with a sentence as one more class, the last.

        Its logit is κ times the cosine of image and sentence, so a heatmap of it shows where the
        image resembles the sentence; FinerCAM contrasts it with the classes. Raises ``UserError``
        where the teacher reads no text, and for a sentence that it does not read to its end.
        """
        beyond = truncate(self.teacher, sentence)
        if beyond is not None:
            raise UserError(f"This sentence is too long: {beyond}. Shorten it.")
        vector = self.teacher.embed_text([sentence]).to(self.prototypes)
        return TeacherScores(self.teacher, torch.cat([self.prototypes, vector]), self.logit_scale)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] → ``(B, C)`` zero-shot logits, with their graph."""
        embedding = self.teacher.embed_with_gradient(images)
        prototypes = self.prototypes.to(embedding.device, embedding.dtype)
        return self.logit_scale * embedding @ prototypes.T

    def heatmap_layer(self) -> nn.Module:
        """The teacher's layer."""
        return self.teacher.heatmap_layer()

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        """The teacher's grid."""
        return self.teacher.heatmap_grid()
