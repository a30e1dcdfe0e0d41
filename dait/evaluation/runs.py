"""The figures of one run on a split: as ``result.json`` recorded them, or from its predictions.

Imports nothing heavy; ``dait.evaluation.evaluate`` runs networks where predictions are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dait.data.base import ClassInfo, SplitName
from dait.errors import UserError
from dait.evaluation.confusion import confusion_matrix, most_confused
from dait.evaluation.metrics import class_accuracy, class_counts, evaluate_logits
from dait.evaluation.predictions import RunPredictions
from dait.evaluation.records import teachers_of
from dait.runs.folder import RunFolder

FIGURES = ("top1", "top5", "mean_per_class", "macro_f1", "ece")


MATRIX_CLASSES = 1000
"""The most classes whose whole confusion matrix is given as JSON."""


@dataclass(frozen=True)
class EvaluatedRun:
    """A run with its figures on a split.

    classes: in the order of the logits, empty where they are not known. figures: ``n``, those of
    ``FIGURES`` (fractions), ``top1_interval`` [low, high] (bootstrap, 95 %), ``slices`` {name:
    {value: top1}}, ``slice_counts`` {name: {value: images}}, and ``between`` {role: the same of a
    network that taught}. predictions: None where only the recorded figures are left; ``missing``
    then says why.
    """

    folder: RunFolder
    arm: str
    seed: int
    split: SplitName
    classes: tuple[ClassInfo, ...]
    figures: Mapping[str, Any]
    predictions: RunPredictions | None
    missing: str = ""


def figures_of(predictions: RunPredictions) -> dict[str, Any]:
    """The student's figures, with ``between`` those of the networks that taught it."""
    every = {
        role: _of_split(evaluate_logits(logits, predictions.labels, predictions.slices))
        for role, logits in predictions.logits.items()
    }
    counts = {}
    for name, values in predictions.slices.items():
        parts, images = np.unique(values, return_counts=True)
        counts[name] = dict(zip(map(str, parts), images.tolist(), strict=True))
    return {**every.pop("student"), "slice_counts": counts, "between": every}


def recorded_figures(folder: RunFolder, result: Mapping[str, Any]) -> dict[str, Any]:
    """As ``figures_of``, of the test split, from ``result.json``; ``UserError`` if damaged."""
    try:
        between = {role: _of_split(own) for role, own in teachers_of(result).items()}
        return {**_of_split(result), "slice_counts": {}, "between": between}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder.path / 'result.json'} is damaged ({type(error).__name__}: {error}); train "
            "the run again."
        ) from error


def _of_split(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a split among those of ``result.json``, whose ``n_test`` becomes ``n``."""
    return {
        "n": int(figures["n_test"]),
        "top1": float(figures["top1"]),
        **{name: figures.get(name) for name in FIGURES[1:]},
        "top1_interval": figures.get("top1_interval"),
        "slices": figures.get("slices") or {},
    }


def run_as_json(run: EvaluatedRun) -> dict[str, Any]:
    """One run among several in ``python -m dait evaluate --json``; see ARCHITECTURE.md."""
    known = run.predictions
    return {
        "run": str(run.folder.path),
        "arm": run.arm,
        "seed": run.seed,
        "split": run.split,
        **run.figures,
        "confused": None if known is None else _confused_pairs(known, run.classes),
        "predictions": str(known.file) if known is not None and known.file else None,
        "missing": run.missing or None,
    }


def details_as_json(run: EvaluatedRun) -> dict[str, Any]:
    """``per_class`` and ``confusion`` of a single run; None without predictions.

    Of more than ``MATRIX_CLASSES`` there is no ``confusion``: it has a cell for every two classes.
    """
    if run.predictions is None:
        return {"per_class": None, "confusion": None}
    known, count = run.predictions, len(run.classes)
    accuracy = class_accuracy(known.correct, known.labels, count)
    images = class_counts(known.labels, count)
    return {
        "per_class": [
            {**class_as_json(run.classes, at), "n": int(images[at]), "top1": float(accuracy[at])}
            for at in range(count)
        ],
        "confusion": confusion_matrix(known.predicted, known.labels, count).tolist()
        if count <= MATRIX_CLASSES
        else None,
    }


def class_as_json(classes: Sequence[ClassInfo], index: int) -> dict[str, Any]:
    """``index``, ``key``, ``name`` and ``group`` of a class."""
    info = classes[index]
    return {"index": index, "key": info.key, "name": info.name, "group": info.group}


def _confused_pairs(
    predictions: RunPredictions, classes: Sequence[ClassInfo]
) -> list[dict[str, Any]]:
    """A row for each of ``most_confused``, with the names of classes and of example images."""
    return [
        {
            "label": class_as_json(classes, pair.label),
            "predicted": class_as_json(classes, pair.predicted),
            "count": pair.count,
            "share": pair.share,
            "examples": [predictions.ids[place] for place in pair.examples],
        }
        for pair in most_confused(predictions.logits["student"], predictions.labels)
    ]
