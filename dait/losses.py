"""Every loss of the method, each a function of tensors. Means are over the batch.

Computed in fp32, also where the networks run in fewer bits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dait.data.base import UNLABELLED


def classification(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of logits ``(B, C)`` with labels ``(B,)`` or with shares ``(B, C)`` of mixed
    images, smoothed (Szegedy et al. 2016).

    Images without a label (−1) do not count; the loss of a batch of such images alone is 0.
    """
    logits = _exact(logits)
    if target.ndim == logits.ndim:
        return F.cross_entropy(logits, target, label_smoothing=smoothing)
    # By tensors alone: to ask the device whether there is a label would be to wait for it.
    labelled = (target != UNLABELLED).any()
    target = torch.where(labelled, target, 0)
    loss = F.cross_entropy(logits, target, ignore_index=UNLABELLED, label_smoothing=smoothing)
    return loss * labelled


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean of ``1 − cos(aᵢ, bᵢ)`` over the rows of ``(B, d)`` vectors, in [0, 2]."""
    return (1 - F.cosine_similarity(_exact(a), _exact(b), dim=1)).mean()


def condensed_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean of ``|aᵢⱼ/‖aᵢ‖ − bᵢⱼ/‖bᵢ‖|`` over rows and columns of ``(B, d)``: VL2Lite's L1."""
    return F.l1_loss(F.normalize(_exact(a), dim=1), F.normalize(_exact(b), dim=1))


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
    return (1 - F.cosine_similarity(_exact(student), _exact(teacher), dim=1)).mean()


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``τ² · KL(softmax(teacher/τ) ‖ softmax(student/τ))``, mean over the batch.

    student, teacher: logits ``(B, C)``. Hinton, Vinyals and Dean 2015, with the τ² that keeps the
    size of the gradient.
    """
    loss = F.kl_div(
        F.log_softmax(_exact(student) / temperature, dim=1),
        F.log_softmax(_exact(teacher) / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return loss * temperature**2


def zero_shot_logits(embeddings: Tensor, prototypes: Tensor, logit_scale: float) -> Tensor:
    """``κ · normalize(v) · wᵀ``: ``(B, d)`` and ``(C, d)`` of unit length → ``(B, C)``."""
    # Of a logit near κ = 100, bf16 would keep the whole number and little else.
    with torch.autocast(embeddings.device.type, enabled=False):
        return logit_scale * F.normalize(_exact(embeddings), dim=1) @ prototypes.T


def _exact(values: Tensor) -> Tensor:
    """At least fp32."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
