"""The networks of a study as they are explained: frozen, in eval mode, fp32.

Each is read from its file, so what is explained is a copy that no training touches.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from dait.errors import UserError
from dait.evaluation.records import StudyRecord, read_teacher
from dait.evidence.heatmaps.teacher_scores import TeacherScores
from dait.models.checkpoint import load_network
from dait.teachers.base import FrozenTeacher
from dait.teachers.registry import load_teacher


def trained_network(path: Path, keys: tuple[str, ...]) -> nn.Module:
    """A student, or what taught one. Raises ``UserError`` unless it knows the classes ``keys``."""
    loaded = load_network(path)
    if tuple(loaded.classes) != keys:
        raise UserError(
            f"{path} knows other classes than its study, or in another order; train it again."
        )
    return loaded.network.requires_grad_(False)


def teacher_scores(study: StudyRecord) -> TeacherScores:
    """The study's frozen teacher with the class prototypes that the study was trained with.

    Raises ``UserError`` where the study kept none, and where the teacher is not to be had or has
    changed since.
    """
    arrays = read_teacher(study)
    name = study.recipe.teacher.name
    if arrays is None:
        raise UserError(f"There is no teacher.npz in {study.folder.path}; train the study again.")
    teacher = shared_teacher(name, study.recipe.teacher.image_size)
    prototypes = torch.from_numpy(arrays["prototypes"])
    recorded = study.teacher.get("weights_hash", teacher.weights_hash)
    if prototypes.shape[1] != teacher.dim or recorded != teacher.weights_hash:
        raise UserError(
            f"The teacher {name} has changed since this study was trained, so it no longer fits "
            "the study's class prototypes; train the study again."
        )
    return TeacherScores(teacher, prototypes, float(arrays["logit_scale"])).eval()


@lru_cache(maxsize=2)
def shared_teacher(name: str, image_size: int | None) -> FrozenTeacher:
    """``load_teacher``, kept: a large teacher should not be in memory once for each comparison."""
    return load_teacher(name, image_size)
