"""What a study left on disk for comparing: results, predictions, the teacher's embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dait.config.arms import arm_title
from dait.config.recipe import Recipe, parse_recipe
from dait.data.base import ClassInfo
from dait.errors import UserError
from dait.evidence.heatmaps.row import RowNetwork
from dait.runs.files import damaged, load_arrays
from dait.runs.folder import RunFolder, StudyFolder

VLM, INTERMEDIATE = "vlm", "intermediate"
ARM_ORDER = ("direct", "independent", "vl2lite", "kd", "takd", "dait")
"""The order of the arms in a row; others follow in the study's own."""

SLICE = "slice_"
"""What the name of an array begins with that cuts the split: the slice's own name follows."""
_ENDS = ("logits", "pooled")

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class RunRecord:
    """A finished run: its arm, its folder and its ``result.json``."""

    arm: str
    folder: RunFolder
    result: Mapping[str, Any]


@dataclass(frozen=True)
class StudyRecord:
    """``study.json``, read; ``runs`` maps every seed to its finished runs, in the row's order."""

    folder: StudyFolder
    description: Mapping[str, Any]
    recipe: Recipe
    classes: tuple[ClassInfo, ...]
    runs: Mapping[int, tuple[RunRecord, ...]]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds with a finished run: those that means go over."""
        return tuple(self.runs)

    @property
    def open_seeds(self) -> tuple[int, ...]:
        """The seeds whose networks and predictions are here: an exported study keeps one's."""
        return tuple(
            seed
            for seed, runs in self.runs.items()
            if all(run.folder.predictions.exists() for run in runs)
        )

    @property
    def teacher(self) -> Mapping[str, Any]:
        """What ``study.json`` says of the frozen teacher."""
        return self.description.get("teacher") or {}


@dataclass(frozen=True)
class SeedRecord:
    """The test split as the networks of one seed saw it; dictionaries go by member key.

    labels: ``(N,)`` int64; ids: N image names; logits: ``(N, C)``, features: ``(N, d)``, float32;
    slices: names to ``(N,)`` strings, none where an older version kept none.
    """

    seed: int
    members: tuple[RowNetwork, ...]
    labels: np.ndarray
    ids: tuple[str, ...]
    logits: Mapping[str, np.ndarray]
    features: Mapping[str, np.ndarray]
    slices: Mapping[str, np.ndarray]


def read_study(folder: StudyFolder) -> StudyRecord:
    """Whatever the study's state. Raises ``UserError`` if damaged or without a finished run."""
    problem = folder.problem()
    if problem is not None:
        raise UserError(problem)
    description = folder.description()
    classes = _classes(description)
    _require(bool(classes), folder.path / "study.json", "it names no classes")
    listed = [(row["arm"], row["seed"]) for row in description["runs"]]
    recipe = parse_recipe(description.get("recipe"), str(folder.path / "study.json"))
    runs: dict[int, list[RunRecord]] = {}
    for (arm, seed), run in zip(listed, folder.runs(), strict=True):
        result = run.result()
        if result is not None:
            runs.setdefault(seed, []).append(RunRecord(arm, run, result))
    if not runs:
        raise UserError(f"No run of the study {folder.path} has finished: nothing to compare.")
    ordered = {seed: tuple(sorted(runs[seed], key=_place)) for seed in sorted(runs)}
    return StudyRecord(folder, description, recipe, classes, ordered)


def read_seed(study: StudyRecord, seed: int) -> SeedRecord:
    """The predictions and features of one seed.

    Raises ``UserError`` where a file is missing or damaged, or two do not belong together.
    """
    runs = study.runs[seed]
    found = {run.folder.path.name: _predictions(run, len(study.classes)) for run in runs}
    (first_name, first), *others = found.items()
    for name, arrays in others:
        if not np.array_equal(arrays["ids"], first["ids"]) or not np.array_equal(
            arrays["labels"], first["labels"]
        ):
            raise UserError(
                f"The runs {first_name} and {name} in {study.folder.path} were tested on "
                "different images, so they cannot be compared; train the study again."
            )
    members: list[RowNetwork] = []
    logits: dict[str, np.ndarray] = {}
    features: dict[str, np.ndarray] = {}
    teacher = read_teacher(study)
    if teacher is not None:
        _require(
            len(teacher["embeddings"]) == len(first["labels"]),
            study.folder.path / "teacher.npz",
            f"it has {len(teacher['embeddings'])} embeddings for {len(first['labels'])} images",
        )
        title = arm_title(VLM) if study.teacher.get("reads_text", True) else "Frozen teacher"
        members.append(RowNetwork(VLM, VLM, title))
        features[VLM] = teacher["embeddings"]
        scale = float(teacher["logit_scale"])
        logits[VLM] = scale * teacher["embeddings"] @ teacher["prototypes"].T
    for arrays in found.values():
        if "intermediate_logits" in arrays and INTERMEDIATE not in logits:
            members.append(RowNetwork(INTERMEDIATE, INTERMEDIATE, arm_title(INTERMEDIATE)))
            logits[INTERMEDIATE] = arrays["intermediate_logits"]
            features[INTERMEDIATE] = arrays["intermediate_pooled"]
    for run in runs:
        key = run.folder.path.name
        members.append(RowNetwork(key, run.arm, arm_title(run.arm)))
        logits[key], features[key] = found[key]["logits"], found[key]["pooled"]
    labels, ids = first["labels"].astype(np.int64), tuple(first["ids"].tolist())
    slices = {
        name.removeprefix(SLICE): values.astype(str)
        for name, values in first.items()
        if name.startswith(SLICE)
    }
    return SeedRecord(seed, tuple(members), labels, ids, logits, features, slices)


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
    _require(
        rows == (len(study.classes), *width) and arrays["embeddings"].ndim == 2,
        path,
        f"prototypes {rows} for {len(study.classes)} classes",
    )
    return arrays


def read_arrays(path: Path, names: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Every array of an ``.npz`` file, fp16 widened to fp32.

    Raises ``UserError`` where the file, or an array of ``names``, is missing, damaged or not
    finite.
    """
    arrays = load_arrays(path)
    if arrays is None:
        raise UserError(f"There is no {path.name} in {path.parent}; train it again.")
    missing = [name for name in names if name not in arrays]
    _require(not missing, path, f"it has no {', '.join(missing)}")
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            arrays[name] = array.astype(np.float32)
            _require(bool(np.isfinite(array).all()), path, f"{name} holds values not finite")
    return arrays


def read_predictions(path: Path, classes: int | None = None) -> dict[str, np.ndarray]:
    """``predictions.npz``, or its like of another split, by the names in ARCHITECTURE.md.

    classes: how many there are; None takes the logits' word for it. Raises ``UserError`` where the
    file is missing or damaged, or its arrays do not fit together.
    """
    arrays = read_arrays(path, ("logits", "labels", "ids", "pooled"))
    labels, count = arrays["labels"], len(arrays["labels"])
    classes = arrays["logits"].shape[-1] if classes is None else classes
    inside = labels.dtype.kind == "i" and count and 0 <= labels.min() <= labels.max() < classes
    _require(bool(inside), path, f"its labels are not those of {classes} classes")
    for name, array in arrays.items():
        shape = array.shape
        if name.endswith("logits"):
            _require(shape == (count, classes), path, f"{name} {shape} for {classes} classes")
        elif name == "ids" or name.endswith("pooled") or name.startswith(SLICE):
            _require(shape[:1] == (count,), path, f"{name} {shape} for {count} images")
    roles = [{name.removesuffix(end) for name in arrays if name.endswith(end)} for end in _ENDS]
    _require(roles[0] == roles[1], path, "it has half of the arrays of a network that taught")
    return arrays


def _predictions(run: RunRecord, classes: int) -> dict[str, np.ndarray]:
    arrays = read_predictions(run.folder.predictions, classes)
    recorded = run.result.get(INTERMEDIATE) is not None
    _require(
        recorded or "intermediate_logits" not in arrays,
        run.folder.path / "result.json",
        "it says nothing of the intermediate teacher",
    )
    return arrays


def classes_around(run: Path) -> tuple[ClassInfo, ...]:
    """The classes as the study around a run names them; empty where none does.

    Raises ``UserError`` where that study is damaged.
    """
    study = StudyFolder(run.resolve().parent)
    return _classes(study.description()) if (study.path / "study.json").is_file() else ()


def _classes(described: Mapping[str, Any]) -> tuple[ClassInfo, ...]:
    rows = described.get("classes") or ()
    return tuple(ClassInfo(row["key"], row["name"], row.get("group")) for row in rows)


def _require(fine: bool, path: Path, reason: str) -> None:
    if not fine:
        raise damaged(path, reason)


def _place(run: RunRecord) -> int:
    return ARM_ORDER.index(run.arm) if run.arm in ARM_ORDER else len(ARM_ORDER)
