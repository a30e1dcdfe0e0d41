"""A study on disk: results of its runs, predictions of a seed, the teacher's embeddings.

Imports nothing heavy: the app reads studies before PyTorch is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dait.config.arms import ARMS, arm_title
from dait.config.recipe import Recipe, parse_recipe
from dait.data.base import ClassInfo
from dait.errors import UserError
from dait.evaluation.predictions import INTERMEDIATE, RunPredictions, read_predictions
from dait.evaluation.results.latency import with_one_latency
from dait.runs.files import damaged, read_arrays
from dait.runs.folder import RunFolder, StudyFolder

VLM = "vlm"
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ComparedNetwork:
    """One of the networks that a study or a run is compared by.

    key: ``vlm``, ``intermediate``, or the run folder's name (``dait-s0``).
    role: ``vlm``, ``intermediate``, or the arm: it selects the colour (``dait.evidence.palette``).
    """

    key: str
    role: str
    title: str


@dataclass(frozen=True)
class RunRecord:
    """A finished run: its arm, its folder and its ``result.json``, with one latency an
    architecture in the whole study."""

    arm: str
    folder: RunFolder
    result: Mapping[str, Any]


@dataclass(frozen=True)
class StudyRecord:
    """``study.json``, read; ``runs`` maps every seed to its finished runs, ordered as ``ARMS``."""

    folder: StudyFolder
    description: Mapping[str, Any]
    recipe: Recipe
    classes: tuple[ClassInfo, ...]
    runs: Mapping[int, tuple[RunRecord, ...]]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds with a finished run, over which means are taken."""
        return tuple(self.runs)

    @property
    def open_seeds(self) -> tuple[int, ...]:
        """The seeds with predictions and networks: an exported study keeps networks of one."""
        return tuple(
            seed
            for seed, runs in self.runs.items()
            if all(run.folder.predictions.exists() for run in runs)
            and any(run.folder.student.exists() for run in runs)
        )

    @property
    def teacher(self) -> Mapping[str, Any]:
        """What ``study.json`` says of the frozen teacher."""
        return self.description.get("teacher") or {}

    @property
    def frozen_teacher(self) -> ComparedNetwork:
        """The frozen teacher, whether it reads text or not."""
        return ComparedNetwork(VLM, VLM, arm_title(VLM))


@dataclass(frozen=True)
class SeedRecord:
    """The test split as predicted by the networks of one seed; dictionaries go by member key.

    labels: ``(N,)`` int64; ids: N image names; logits: ``(N, C)``, features: ``(N, d)``, float32;
    slices: names to ``(N,)`` strings, none where an older version kept none.
    """

    seed: int
    members: tuple[ComparedNetwork, ...]
    labels: np.ndarray
    ids: tuple[str, ...]
    logits: Mapping[str, np.ndarray]
    features: Mapping[str, np.ndarray]
    slices: Mapping[str, np.ndarray]


def read_study(folder: StudyFolder) -> StudyRecord:
    """A study in any state. Raises ``UserError`` if damaged or without a finished run."""
    problem = folder.problem()
    if problem is not None:
        raise UserError(problem)
    description = folder.description()
    classes = _classes(description)
    if not classes:
        raise damaged(folder.path / "study.json", "it names no classes")
    listed = [(row["arm"], row["seed"]) for row in description["runs"]]
    recipe = parse_recipe(description.get("recipe"), str(folder.path / "study.json"))
    finished = [
        (arm, seed, run, result)
        for (arm, seed), run in zip(listed, folder.runs(), strict=True)
        if (result := run.result()) is not None
    ]
    results = with_one_latency([result for *_, result in finished])
    runs: dict[int, list[RunRecord]] = {}
    for (arm, seed, run, _), result in zip(finished, results, strict=True):
        runs.setdefault(seed, []).append(RunRecord(arm, run, result))
    if not runs:
        raise UserError(f"No run of the study {folder.path} has finished: nothing to compare.")
    ordered = {
        seed: tuple(sorted(runs[seed], key=lambda run: arm_place(run.arm))) for seed in sorted(runs)
    }
    return StudyRecord(folder, description, recipe, classes, ordered)


def read_seed(study: StudyRecord, seed: int) -> SeedRecord:
    """The predictions and features of one seed.

    Raises ``UserError`` where a file is missing or damaged, or two do not belong together.
    """
    runs = study.runs[seed]
    found = {run.folder.path.name: _predictions(run, len(study.classes)) for run in runs}
    if not all(predictions.pooled for predictions in found.values()):
        if seed in study.open_seeds:
            name = next(name for name, predictions in found.items() if not predictions.pooled)
            raise damaged(study.folder.path / name / "predictions.npz", "it has no pooled")
        raise UserError(
            f"{study.folder.path} was exported without the features of seed {seed}; open it with "
            f"seed {', '.join(map(str, study.open_seeds))}."
        )
    (first_name, first), *others = found.items()
    for name, other in others:
        if other.ids != first.ids or not np.array_equal(other.labels, first.labels):
            raise UserError(
                f"The runs {first_name} and {name} in {study.folder.path} were tested on "
                "different images, so they cannot be compared; train the study again."
            )
    members: list[ComparedNetwork] = []
    logits: dict[str, np.ndarray] = {}
    features: dict[str, np.ndarray] = {}
    teacher = read_teacher(study)
    if teacher is not None:
        embeddings = teacher["embeddings"]
        if len(embeddings) != len(first.labels):
            reason = f"it has {len(embeddings)} embeddings for {len(first.labels)} images"
            raise damaged(study.folder.path / "teacher.npz", reason)
        members.append(study.frozen_teacher)
        features[VLM], logits[VLM] = embeddings, zero_shot_logits(teacher)
    for own in found.values():
        if INTERMEDIATE in own.logits and INTERMEDIATE not in logits:
            members.append(ComparedNetwork(INTERMEDIATE, INTERMEDIATE, arm_title(INTERMEDIATE)))
            logits[INTERMEDIATE] = own.logits[INTERMEDIATE]
            features[INTERMEDIATE] = own.pooled[INTERMEDIATE]
    for run in runs:
        key = run.folder.path.name
        members.append(ComparedNetwork(key, run.arm, arm_title(run.arm)))
        logits[key], features[key] = found[key].logits["student"], found[key].pooled["student"]
    return SeedRecord(seed, tuple(members), first.labels, first.ids, logits, features, first.slices)


def intermediate_run(study: StudyRecord, seed: int) -> RunRecord | None:
    """The run whose folder holds the seed's intermediate teacher."""
    having = (run for run in study.runs[seed] if run.folder.intermediate.exists())
    return next(having, None)


def read_teacher(study: StudyRecord) -> Arrays | None:
    """``teacher.npz`` as float32, or None where the study has none."""
    path = study.folder.path / "teacher.npz"
    if not path.exists():
        return None
    arrays = read_arrays(path, ("prototypes", "logit_scale", "embeddings"))
    rows, width = arrays["prototypes"].shape, arrays["embeddings"].shape[-1:]
    if rows != (len(study.classes), *width) or arrays["embeddings"].ndim != 2:
        raise damaged(path, f"prototypes {rows} for {len(study.classes)} classes")
    return arrays


def zero_shot_logits(teacher: Arrays) -> np.ndarray:
    """``(N, C)`` of the test split: logit scale · embeddings · prototypes of ``teacher.npz``."""
    logits: np.ndarray = (
        float(teacher["logit_scale"]) * teacher["embeddings"] @ teacher["prototypes"].T
    )
    return logits


def teachers_of(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """{role: figures} of the networks that taught a run's student, as ``result.json`` has them."""
    # Results of earlier versions name the intermediate teacher alone.
    found: Mapping[str, Any] = result.get("between") or {INTERMEDIATE: result.get(INTERMEDIATE)}
    return {role: figures for role, figures in found.items() if figures}


def classes_around(run: Path) -> tuple[ClassInfo, ...]:
    """The classes as named by the study that holds a run; empty where there is no study.

    Raises ``UserError`` where that study is damaged.
    """
    study = StudyFolder(run.resolve().parent)
    return _classes(study.description()) if (study.path / "study.json").is_file() else ()


def arm_place(arm: str) -> int:
    """Where an arm stands in tables, rows and figures: as in ``ARMS``; other arms come last."""
    names: tuple[str, ...] = ARMS
    return names.index(arm) if arm in names else len(names)


def _predictions(run: RunRecord, classes: int) -> RunPredictions:
    found = read_predictions(run.folder.predictions, classes)
    if INTERMEDIATE in found.logits and run.result.get(INTERMEDIATE) is None:
        reason = "it says nothing of the intermediate teacher"
        raise damaged(run.folder.path / "result.json", reason)
    return found


def _classes(described: Mapping[str, Any]) -> tuple[ClassInfo, ...]:
    rows = described.get("classes") or ()
    return tuple(ClassInfo(row["key"], row["name"], row.get("group")) for row in rows)
