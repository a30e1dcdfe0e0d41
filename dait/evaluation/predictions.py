"""What a run's networks predicted for a split: the file ``predictions.npz`` and its like.

Imports nothing heavy: the app reads predictions before PyTorch is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dait.config.arms import TEACHER_TITLES
from dait.runs.files import damaged, read_arrays

INTERMEDIATE = "intermediate"
ROLES = ("student", INTERMEDIATE, *TEACHER_TITLES)
"""The networks of a run, in the order in which their figures are listed."""

POOLED = "pooled"
"""Last word of an array's name: the pooled features of a network."""
SLICE = "slice_"
"""Prefix of an array that divides the split; the name of the slice follows."""
WEIGHTS, DATA = "weights", "data"
"""Arrays that say what was predicted by and for: digests of the networks' files, of the images."""


@dataclass(frozen=True)
class RunPredictions:
    """Predictions of a run's networks for every image of a split, in the split's order.

    labels: ``(N,)`` int64; ids: N image names; logits: ``(N, C)`` and pooled: ``(N, p)`` by role,
    float32 (rounded to fp16, as they are stored), pooled none of a seed that was exported without
    its networks; slices: names to ``(N,)`` strings, none in files
    of older versions; weights: digest of each network by role as JSON, data: fingerprint of the
    images, both None in files of older versions; file: where they are stored, None where nothing
    can be written.
    """

    labels: np.ndarray
    ids: tuple[str, ...]
    logits: Mapping[str, np.ndarray]
    pooled: Mapping[str, np.ndarray]
    slices: Mapping[str, np.ndarray]
    weights: str | None = None
    data: str | None = None
    file: Path | None = None

    @property
    def predicted(self) -> np.ndarray:
        """``(N,)``: the student's top-1 class of each image."""
        found: np.ndarray = self.logits["student"].argmax(axis=1)
        return found

    @property
    def correct(self) -> np.ndarray:
        """``(N,)`` bool: whether the student's top-1 class is the label."""
        right: np.ndarray = self.predicted == self.labels
        return right


def read_predictions(path: Path, classes: int | None = None) -> RunPredictions:
    """The predictions in ``path``, whose arrays ARCHITECTURE.md lists.

    classes: how many there are; None takes the number of logits. Raises ``UserError`` where the
    file is missing or damaged, or its arrays do not fit together.
    """
    arrays = read_arrays(path, ("logits", "labels", "ids"))
    _check(path, arrays, arrays["logits"].shape[-1] if classes is None else classes)
    return predictions_from(arrays, path)


def predictions_from(arrays: Mapping[str, np.ndarray], file: Path | None) -> RunPredictions:
    """Predictions from the arrays that are stored in ``file``, or in none."""

    def by_role(kind: str) -> dict[str, np.ndarray]:
        names = {role: kind if role == "student" else f"{role}_{kind}" for role in ROLES}
        return {
            role: arrays[name].astype(np.float32) for role, name in names.items() if name in arrays
        }

    return RunPredictions(
        labels=arrays["labels"].astype(np.int64),
        ids=tuple(arrays["ids"].tolist()),
        logits=by_role("logits"),
        pooled=by_role(POOLED),
        slices={
            name.removeprefix(SLICE): values.astype(str)
            for name, values in arrays.items()
            if name.startswith(SLICE)
        },
        weights=str(arrays[WEIGHTS]) if WEIGHTS in arrays else None,
        data=str(arrays[DATA]) if DATA in arrays else None,
        file=file,
    )


def without_pooled(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a predictions file less the pooled vectors, which are most of its size."""
    return {name: array for name, array in arrays.items() if not name.endswith(POOLED)}


def _check(path: Path, arrays: Mapping[str, np.ndarray], classes: int) -> None:
    labels, count = arrays["labels"], len(arrays["labels"])
    inside = labels.dtype.kind == "i" and count and 0 <= labels.min() <= labels.max() < classes
    _require(bool(inside), path, f"its labels are not those of {classes} classes")
    for name, array in arrays.items():
        shape = array.shape
        if name.endswith("logits"):
            _require(shape == (count, classes), path, f"{name} {shape} for {classes} classes")
        elif name == "ids" or name.endswith(POOLED) or name.startswith(SLICE):
            _require(shape[:1] == (count,), path, f"{name} {shape} for {count} images")
    logits, pooled = (
        {name.removesuffix(kind) for name in arrays if name.endswith(kind)}
        for kind in ("logits", POOLED)
    )
    _require(pooled in (logits, set()), path, "it has half of the arrays of a network that taught")


def _require(fine: bool, path: Path, reason: str) -> None:
    if not fine:
        raise damaged(path, reason)
