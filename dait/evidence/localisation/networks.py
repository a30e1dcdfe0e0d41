"""Whose heatmaps are judged: every network of a study, or of a run, whose weights are here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

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
from dait.evidence.heatmaps.networks import shared_teacher, teacher_scores, trained_network
from dait.models.checkpoint import file_sha256, load_network, weights_digest
from dait.runs.files import read_arrays
from dait.runs.folder import RunFolder, StudyFolder

Logits = Callable[[], np.ndarray | None]


@dataclass(frozen=True)
class ExplainedNetwork:
    """One network. weights: names them, and whatever else its answers depend on.

    seed: None for the frozen teacher. recorded: its ``(N, C)`` logits of the test split as they
    were when the study was trained, None where they were not kept.
    """

    member: ComparedNetwork
    seed: int | None
    weights: str
    load: Callable[[], nn.Module]
    recorded: Logits


@dataclass(frozen=True)
class ExplainedNetworks:
    """The networks of one folder, and the recipe that says which data they know."""

    folder: Path
    recipe: Recipe
    networks: tuple[ExplainedNetwork, ...]


def explained_networks(path: Path) -> ExplainedNetworks:
    """The networks of a study's folder, or of a run's. Raises ``UserError`` where there is none."""
    found = _of_study(StudyFolder(path)) if (path / "study.json").is_file() else _of_run(path)
    if not found.networks:
        raise UserError(
            f"The weights of the networks of {path} are not here, so it cannot be seen where they "
            "look. Train it again, or take the folder that it was exported from."
        )
    return found


def _of_study(study: StudyFolder) -> ExplainedNetworks:
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
    return ExplainedNetworks(study.path, record.recipe, tuple(networks))


def _of_run(path: Path) -> ExplainedNetworks:
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
    return ExplainedNetworks(path, recipe, (*_other_teachers(run, seed, keys), *networks))


def _other_teachers(run: RunFolder, seed: int, keys: tuple[str, ...]) -> list[ExplainedNetwork]:
    """A classifier or an assistant that taught in this run alone."""
    there = [role for role in TEACHER_TITLES if run.weights(role).is_file()]
    return [_trained(run, role, f"{role}-s{seed}", seed, keys) for role in there]


def _trained(
    run: RunFolder, role: str, key: str, seed: int, keys: tuple[str, ...]
) -> ExplainedNetwork:
    taught = role == INTERMEDIATE or role in TEACHER_TITLES
    file = run.weights(role) if taught else run.student
    name = f"{role}_logits" if taught else "logits"
    return ExplainedNetwork(
        ComparedNetwork(key, role, arm_title(role)),
        seed,
        weights_digest(file),
        partial(trained_network, file, keys),
        partial(_recorded, run.predictions, name),
    )


def _recorded(path: Path, name: str) -> np.ndarray | None:
    return read_arrays(path).get(name) if path.is_file() else None


def _frozen_teacher(record: StudyRecord) -> ExplainedNetwork:
    teacher = record.recipe.teacher
    weights = record.teacher.get("weights_hash")
    if weights is None:  # of a study that did not write it down
        weights = shared_teacher(teacher.name, teacher.image_size).weights_hash

    def recorded() -> np.ndarray | None:
        arrays = read_teacher(record)
        assert arrays is not None  # the file was there
        return zero_shot_logits(arrays)

    return ExplainedNetwork(
        record.frozen_teacher,
        None,
        f"{weights} {file_sha256(record.folder.path / 'teacher.npz')}",
        partial(teacher_scores, record),
        recorded,
    )
