"""What all runs of a study share: the data, the frozen teacher and its test embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dait.config.recipe import Recipe
from dait.data.augmentation.views import ViewPolicy
from dait.data.base import Dataset, SplitName
from dait.data.pool import has_unlabelled
from dait.distributed import device
from dait.evaluation.frozen_teacher import measure_teacher
from dait.events import Emit, Note
from dait.models.network import build_network
from dait.runs.data import open_data
from dait.teachers.base import FrozenTeacher
from dait.teachers.cache.views import TeacherViews
from dait.teachers.registry import (
    Prototypes,
    fetch_teacher,
    load_teacher,
)


@dataclass(frozen=True)
class StudyContext:
    """What all runs of a study share: the data and the frozen teacher."""

    recipe: Recipe
    data: Dataset
    teacher: FrozenTeacher
    prototypes: Prototypes
    embeddings: Tensor
    """``(N, d)`` of the frozen teacher, of the images that the runs are measured on."""
    zero_shot: dict[str, Any]
    """The frozen teacher's own figures on these images."""
    measured: SplitName = "test"
    """The split that runs are measured on; ``val`` while settings are still being chosen."""
    earlier: tuple[Path, ...] = ()
    """Studies and runs whose intermediate teachers may be reused (``study.reuse``)."""

    @property
    def class_keys(self) -> list[str]:
        return [info.key for info in self.data.classes]


def prepare(recipe: Recipe, emit: Emit, measured: SplitName = "test") -> StudyContext:
    """Open the data, load the teacher, and build the networks once, so that errors come early.

    measured: the split to measure runs on; with ``val`` the test split is not even read.
    Raises UserError for anything that would make the training fail later.
    """
    # First of all: a failed download should not cost the time to read a data set.
    fetch_teacher(recipe.teacher.name, emit)
    data = open_data(recipe, emit)
    for spec in (recipe.student, recipe.intermediate, recipe.kd.network, recipe.takd.network):
        if spec is not None:
            network = build_network(spec, len(data.classes), recipe.data.size)
            if network.started_from:
                emit(Note(f"{spec.name} starts from {network.started_from}"))
    emit(Note(f"loading the frozen teacher {recipe.teacher.name}"))
    teacher = load_teacher(recipe.teacher.name, recipe.teacher.image_size, emit)
    if isinstance(teacher, nn.Module):
        teacher.to(device())
    learned: tuple[SplitName, ...] = ("train", "unlabelled") if has_unlabelled(data) else ("train",)
    for name in dict.fromkeys((*learned, "val", measured)):
        emit(Note(f"reading the {name} split"))
        data.split(name)
    for line in left_out(data):
        emit(Note(line))
    found = measure_teacher(
        teacher,
        data,
        measured,
        recipe.teacher.prompts,
        called=recipe.data.source,
        emit=emit,
    )
    zero_shot = found.figures
    emit(Note(f"zero-shot top-1 of {teacher.name} on {measured}: {zero_shot['top1']:.1%}"))
    return StudyContext(
        recipe, data, teacher, found.prototypes, found.embeddings, zero_shot, measured
    )


def left_out(data: Dataset) -> list[str]:
    """Sentences on the files that could not be used, and on anything else that is odd."""
    lines = [str(note) for note in (*getattr(data, "notes", ()), *getattr(data, "left_out", ()))]
    if data.problems:
        lines.append(f"{len(data.problems)} files cannot be used and are left out")
    lines += [f"left out {problem.file}: {problem.reason}" for problem in data.problems]
    return lines


def teacher_views(
    recipe: Recipe,
    data: Dataset,
    teacher: FrozenTeacher,
    seed: int,
    emit: Emit,
    unlabelled: bool = True,
) -> TeacherViews:
    """The frozen teacher's embeddings of the views of a run with this seed, kept or live.

    unlabelled: of unlabelled images too, where the data has some.
    """
    origin = {
        "data": recipe.data.model_dump(),
        "teacher": {"name": recipe.teacher.name, "image_size": recipe.teacher.image_size},
        "views": {"kind": recipe.views.kind},
    }
    policy, live = ViewPolicy(recipe.views.kind, seed), not recipe.views.cache
    return TeacherViews(
        teacher, data, policy, emit, unlabelled=unlabelled, live=live, origin=origin
    )
