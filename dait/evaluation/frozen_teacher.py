"""How well a frozen teacher classifies a split without any training; the figures are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from dait.data.base import Dataset, SplitName
from dait.evaluation.metrics import evaluate_logits
from dait.events import Emit, Note, ignore
from dait.teachers.base import FrozenTeacher
from dait.teachers.embedding import embed_split
from dait.teachers.prompts import Prompts
from dait.teachers.registry import Prototypes, prototypes_of
from dait.teachers.zero_shot_figures import remember_zero_shot


@dataclass(frozen=True)
class TeacherAccuracy:
    """figures: of ``evaluate_logits``; embeddings: ``(N, d)`` of the split's images, on the CPU."""

    teacher: str
    split: SplitName
    classes: int
    figures: dict[str, Any]
    prototypes: Prototypes
    embeddings: Tensor


def measure_teacher(
    teacher: FrozenTeacher,
    data: Dataset,
    split: SplitName,
    prompts: Prompts | None = None,
    *,
    called: str | None = None,
    emit: Emit = ignore,
) -> TeacherAccuracy:
    """Against its class texts, or, where it reads no text, the means of the training images.

    prompts: in place of the data set's own; called: what the user called the data set. Raises
    ``UserError`` where the cache folder cannot be written.
    """
    prototypes = prototypes_of(teacher, data, prompts)
    prototypes = replace(prototypes, vectors=prototypes.vectors.cpu())
    for warning in prototypes.warnings:
        emit(Note(f"warning: {warning}"))
    emit(Note(f"embedding the {split} split with the frozen teacher"))
    images = data.split(split)
    embeddings = embed_split(teacher, images.images, emit=emit).cpu()
    logits = (prototypes.logit_scale * embeddings @ prototypes.vectors.T).float()
    figures = evaluate_logits(logits.numpy(), images.labels, images.slices)
    remember_zero_shot(
        teacher,
        data,
        split,
        figures,
        called=called,
        prompts=prompts,
        warnings=prototypes.warnings,
    )
    return TeacherAccuracy(teacher.name, split, len(data.classes), figures, prototypes, embeddings)
