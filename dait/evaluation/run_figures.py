"""The figures of one run on one split: recorded where they are, else from its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dait.data.base import ClassInfo, SplitName
from dait.errors import UserError
from dait.evaluation.confusion import confusion_matrix, most_confused
from dait.evaluation.metrics import class_accuracy, class_counts, evaluate_logits
from dait.evaluation.predictions import RunPredictions, answers_of, has_answers
from dait.evaluation.records import INTERMEDIATE, classes_around
from dait.events import Emit, ignore
from dait.models.checkpoint import load_network
from dait.runs.folder import RunFolder

FIGURES = ("top1", "top5", "mean_per_class", "macro_f1", "ece")
_ROUNDING = 0.01
"""How far a recorded top-1 may lie from that of the kept logits: these are rounded to fp16."""


@dataclass(frozen=True)
class Evaluated:
    """A run, measured on a split.

    classes: in the order of the logits, empty where nothing says which they are. figures: ``n``,
    those of ``FIGURES`` (fractions), ``top1_interval`` [low, high] (bootstrap, 95 %), ``slices``
    {name: {value: top1}}, ``slice_counts`` {name: {value: images}}, and ``between`` {role: the same
    of a network that taught}. answers: None where only the recorded figures are left, and then
    ``missing`` says why.
    """

    run: RunFolder
    arm: str
    seed: int
    split: SplitName
    classes: tuple[ClassInfo, ...]
    figures: Mapping[str, Any]
    answers: RunPredictions | None
    missing: str = ""


def evaluate_run(run: RunFolder, split: SplitName = "test", emit: Emit = ignore) -> Evaluated:
    """Measure a run on a split; what its networks say is computed once (``answers_of``).

    Of the test split the figures are those that ``result.json`` recorded. Raises ``UserError`` for
    a run that is not finished or is damaged, and where what is needed is not here.
    """
    if not run.begun:
        raise UserError(f"{run.path} has not begun: there is nothing to evaluate yet.")
    result = run.result()
    arm, seed = _identity(run)
    if result is not None and split == "test" and not has_answers(run, split):
        missing = (
            f"{run.path} has no {run.predictions.name} and no {run.student.name} (an exported "
            "study keeps those of one seed): its figures are those that result.json recorded, and "
            "nothing is known of single images."
        )
        classes = classes_around(run.path)
        return Evaluated(run, arm, seed, split, classes, _recorded(run, result), None, missing)
    answers = answers_of(run, split, emit)
    figures = _measured(answers)
    if result is not None and split == "test":
        recorded = _recorded(run, result)
        _check_same(run, recorded, figures)
        known = {name: value for name, value in recorded.items() if value not in (None, {})}
        figures = {**figures, **known}
    classes = _classes(run, answers.logits["student"].shape[1])
    return Evaluated(run, arm, seed, split, classes, figures, answers)


def run_as_json(found: Evaluated) -> dict[str, Any]:
    """What ``python -m dait evaluate`` says of one run among several; see ARCHITECTURE.md."""
    answers = found.answers
    return {
        "run": str(found.run.path),
        "arm": found.arm,
        "seed": found.seed,
        "split": found.split,
        **found.figures,
        "confused": None if answers is None else confused_rows(answers, found.classes),
        "predictions": str(answers.kept) if answers is not None and answers.kept else None,
        "missing": found.missing or None,
    }


def details_as_json(found: Evaluated) -> dict[str, Any]:
    """``per_class`` and ``confusion``, of one run alone; None where nothing is known of images."""
    if found.answers is None:
        return {"per_class": None, "confusion": None}
    answers, count = found.answers, len(found.classes)
    accuracy = class_accuracy(answers.correct, answers.labels, count)
    images = class_counts(answers.labels, count)
    return {
        "per_class": [
            {**class_as_json(found.classes, at), "n": int(images[at]), "top1": float(accuracy[at])}
            for at in range(count)
        ],
        "confusion": confusion_matrix(answers.predicted, answers.labels, count).tolist(),
    }


def confused_rows(answers: RunPredictions, classes: Sequence[ClassInfo]) -> list[dict[str, Any]]:
    """A row a pair of ``most_confused``, with the names of classes and of example images."""
    return [
        {
            "label": class_as_json(classes, pair.label),
            "predicted": class_as_json(classes, pair.predicted),
            "count": pair.count,
            "share": pair.share,
            "examples": [answers.ids[place] for place in pair.examples],
        }
        for pair in most_confused(answers.logits["student"], answers.labels)
    ]


def class_as_json(classes: Sequence[ClassInfo], index: int) -> dict[str, Any]:
    """``index``, ``key``, ``name`` and ``group`` of a class."""
    info = classes[index]
    return {"index": index, "key": info.key, "name": info.name, "group": info.group}


def _identity(run: RunFolder) -> tuple[str, int]:
    config = run.config()
    try:
        return str(config["arm"]), int(config["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{run.path / 'config.yaml'} does not say which arm and seed it is of; train it again."
        ) from error


def _measured(answers: RunPredictions) -> dict[str, Any]:
    """The figures of the student, and ``between`` those of the networks that taught it."""
    every = {
        role: _plain(evaluate_logits(logits, answers.labels, answers.slices))
        for role, logits in answers.logits.items()
    }
    counts = {
        name: dict(zip(*_counted(values), strict=True)) for name, values in answers.slices.items()
    }
    student = every.pop("student")
    return {**student, "slice_counts": counts, "between": every}


def _recorded(run: RunFolder, result: Mapping[str, Any]) -> dict[str, Any]:
    # Results of earlier versions name the intermediate teacher alone.
    between = result.get("between") or {INTERMEDIATE: result.get(INTERMEDIATE)}
    try:
        return {
            **_plain(result),
            "slice_counts": {},
            "between": {role: _plain(own) for role, own in between.items() if own},
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{run.path / 'result.json'} is damaged ({type(error).__name__}: {error}); train the "
            "run again."
        ) from error


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the figures in ``result.json`` that are of a split, by the names they have here."""
    return {
        "n": int(figures["n_test"]),
        "top1": float(figures["top1"]),
        **{name: figures.get(name) for name in FIGURES[1:]},
        "top1_interval": figures.get("top1_interval"),
        "slices": figures.get("slices") or {},
    }


def _check_same(run: RunFolder, recorded: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    apart = abs(recorded["top1"] - found["top1"])
    if recorded["n"] != found["n"] or apart > _ROUNDING + 1 / found["n"]:
        raise UserError(
            f"{run.predictions} and result.json are not of the same test: top-1 is "
            f"{found['top1']:.2%} of {found['n']} images, and {recorded['top1']:.2%} of "
            f"{recorded['n']}. Put back the one that was changed, or train the run again."
        )


def _classes(run: RunFolder, count: int) -> tuple[ClassInfo, ...]:
    """As the study around names them, or as the student's file does, or by number."""
    classes = classes_around(run.path)
    if not classes and run.student.exists():
        classes = tuple(ClassInfo(key, key) for key in load_network(run.student).classes)
    if not classes:
        return tuple(ClassInfo(str(index), f"class {index}") for index in range(count))
    if len(classes) != count:
        raise UserError(
            f"{run.path} answers for {count} classes and {len(classes)} are named; its files do "
            "not belong together."
        )
    return classes


def _counted(values: np.ndarray) -> tuple[list[str], list[int]]:
    found, counts = np.unique(values, return_counts=True)
    return [str(value) for value in found], counts.tolist()
