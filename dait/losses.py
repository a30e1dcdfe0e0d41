"""Every loss of the method, each a function of tensors. Means are over the batch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean of ``1 − cos(aᵢ, bᵢ)`` over the rows of ``(B, d)`` vectors, in [0, 2]."""
    return (1 - F.cosine_similarity(a, b, dim=1)).mean()


def spatial_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over positions of ``1 − cos`` between two maps ``(B, C, h, w)`` and ``(B, C, H, W)``.

    The student's map is resized bilinearly to the teacher's grid, which is never upsampled past
    itself. Raises ValueError when the channels differ (an adapter is missing).
    """
    if student.shape[1] != teacher.shape[1]:
        raise ValueError(
            f"maps of {student.shape[1]} and {teacher.shape[1]} channels cannot be compared; "
            "project the student's to the teacher's first"
        )
    if student.shape[-2:] != teacher.shape[-2:]:
        student = F.interpolate(student, teacher.shape[-2:], mode="bilinear", align_corners=False)
    return (1 - F.cosine_similarity(student, teacher, dim=1)).mean()


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``τ² · KL(softmax(teacher/τ) ‖ softmax(student/τ))``, mean over the batch.

    student, teacher: logits ``(B, C)``. Hinton, Vinyals and Dean 2015, with the τ² that keeps the
    size of the gradient.
    """
    loss = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return loss * temperature**2


def zero_shot_logits(embeddings: Tensor, prototypes: Tensor, logit_scale: float) -> Tensor:
    """``κ · normalize(v) · wᵀ``: ``(B, d)`` and ``(C, d)`` of unit length → ``(B, C)``."""
    return logit_scale * F.normalize(embeddings, dim=1) @ prototypes.T
