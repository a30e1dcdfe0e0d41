"""The networks of a study or a run on disk, loaded to be evaluated or explained.

Each is read from its file, frozen, in eval mode and fp32: a copy that no training changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from dait.config.arms import TEACHER_TITLES, arm_title
from dait.config.recipe import Recipe, parse_recipe
from dait.errors import UserError
from dait.evaluation.records import (
    INTERMEDIATE,
    ComparedNetwork,
    StudyRecord,
    intermediate_run,
    read_study,
    read_teacher,
    zero_shot_logits,
)
from dait.models.checkpoint import file_sha256, load_network, weights_digest
from dait.runs.files import read_arrays
from dait.runs.folder import RunFolder, StudyFolder
from dait.teachers.base import FrozenTeacher
from dait.teachers.prompt_warnings import truncate
from dait.teachers.registry import load_teacher

Logits = Callable[[], np.ndarray | None]


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

    Raises ``UserError`` where the study kept none, and where the teacher is not available or has
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


@dataclass(frozen=True)
class StoredNetwork:
    """One network on disk. weights: a digest of all that its predictions depend on.

    seed: None for the frozen teacher. recorded: its ``(N, C)`` logits of the test split as they
    were when the study was trained, None where they were not kept.
    """

    member: ComparedNetwork
    seed: int | None
    weights: str
    load: Callable[[], nn.Module]
    recorded: Logits


@dataclass(frozen=True)
class StoredNetworks:
    """The networks of one folder, and the recipe that they were trained with."""

    folder: Path
    recipe: Recipe
    networks: tuple[StoredNetwork, ...]


def stored_networks(path: Path) -> StoredNetworks:
    """The networks of a study's folder, or of a run's. Raises ``UserError`` where there is none."""
    found = _of_study(StudyFolder(path)) if (path / "study.json").is_file() else _of_run(path)
    if not found.networks:
        raise UserError(
            f"The weights of the networks of {path} are missing, so their heatmaps cannot be "
            "computed. Train it again, or use the folder that it was exported from."
        )
    return found


def _of_study(study: StudyFolder) -> StoredNetworks:
    record = read_study(study)
    keys = tuple(info.key for info in record.classes)
    networks = [_frozen_teacher(record)] if (study.path / "teacher.npz").is_file() else []
    for seed, runs in record.runs.items():
        taught = intermediate_run(record, seed)
        if taught is not None:
            key = f"{INTERMEDIATE}-s{seed}"
            networks.append(_trained(taught.folder, INTERMEDIATE, key, seed, keys))
        for run in runs:
            networks += _other_teachers(run.folder, seed, keys)
        networks += [
            _trained(run.folder, run.arm, run.folder.path.name, seed, keys)
            for run in runs
            if run.folder.student.is_file()
        ]
    return StoredNetworks(study.path, record.recipe, tuple(networks))


def _of_run(path: Path) -> StoredNetworks:
    run = RunFolder(path)
    if not run.student.is_file():
        raise UserError(
            f"{path} should be the folder of a study (with study.json) or of a run with a trained "
            "student (with student.safetensors); it is neither."
        )
    config = run.config()
    arm, seed = str(config.pop("arm", "")), int(config.pop("seed", 0))
    recipe = parse_recipe(config, str(path / "config.yaml"))
    keys = tuple(load_network(run.student).classes)
    networks = [_trained(run, arm, path.resolve().name, seed, keys)]
    if run.intermediate.is_file():
        networks.insert(0, _trained(run, INTERMEDIATE, f"{INTERMEDIATE}-s{seed}", seed, keys))
    return StoredNetworks(path, recipe, (*_other_teachers(run, seed, keys), *networks))


def _other_teachers(run: RunFolder, seed: int, keys: tuple[str, ...]) -> list[StoredNetwork]:
    """A classifier or an assistant that taught in this run alone."""
    there = [role for role in TEACHER_TITLES if run.weights(role).is_file()]
    return [_trained(run, role, f"{role}-s{seed}", seed, keys) for role in there]


def _trained(
    run: RunFolder, role: str, key: str, seed: int, keys: tuple[str, ...]
) -> StoredNetwork:
    taught = role == INTERMEDIATE or role in TEACHER_TITLES
    file = run.weights(role) if taught else run.student
    name = f"{role}_logits" if taught else "logits"
    return StoredNetwork(
        ComparedNetwork(key, role, arm_title(role)),
        seed,
        weights_digest(file),
        partial(trained_network, file, keys),
        partial(_recorded, run.predictions, name),
    )


def _recorded(path: Path, name: str) -> np.ndarray | None:
    return read_arrays(path).get(name) if path.is_file() else None


def _frozen_teacher(record: StudyRecord) -> StoredNetwork:
    teacher = record.recipe.teacher
    weights = record.teacher.get("weights_hash")
    if weights is None:  # of a study that did not write it down
        weights = shared_teacher(teacher.name, teacher.image_size).weights_hash

    def recorded() -> np.ndarray | None:
        arrays = read_teacher(record)
        assert arrays is not None  # the file was there
        return zero_shot_logits(arrays)

    return StoredNetwork(
        record.frozen_teacher,
        None,
        f"{weights} {file_sha256(record.folder.path / 'teacher.npz')}",
        partial(teacher_scores, record),
        recorded,
    )
