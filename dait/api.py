"""The public Python API: what ``import dait`` offers, imported when a name is first used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dait.bundle.export import Bundle, export_run
from dait.config.arms import DEFAULT_ARMS, Arm
from dait.config.recipe import Recipe, load_recipe
from dait.data.images.decode import decode_image
from dait.data.sources.catalogue import FIELD_GUIDE, absolute_source, list_datasets
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.evaluation.advice import Advice
from dait.evaluation.advice import advise as _advise
from dait.evaluation.regimes import MAP, read_rows, summarize
from dait.events import Emit, ignore
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.row import Explanation, NetworkRow
from dait.evidence.open_row import open_row
from dait.evidence.prediction_tables import predicted_networks
from dait.models.checkpoint import load_network
from dait.runs.folder import RunFolder
from dait.storage.paths import absolute, study_folder
from dait.study.context import prepare
from dait.study.estimate import estimate
from dait.study.plan import Resume
from dait.study.regimes import measure
from dait.study.train import run_study as _run_study
from dait.teachers.registry import load_teacher

__all__ = [
    "Advice",
    "Bundle",
    "Comparison",
    "Explanation",
    "Recipe",
    "advise",
    "explain",
    "export_model",
    "list_datasets",
    "load_network",
    "load_recipe",
    "load_study",
    "load_teacher",
    "open_dataset",
    "predict",
    "run_study",
]

Picture = str | Path | Image.Image | np.ndarray
"""A file, a PIL image, or an array ``(H, W, 3)`` uint8."""


ADVISED_RECIPE, ADVISED_RECIPE_FIELD_GUIDE = "photos", "few-labels"
"""Recipes that advice is for, where none is named."""


def advise(
    data: str | Path,
    recipe: Recipe | str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    regimes: str | Path = MAP,
    emit: Emit = ignore,
) -> Advice:
    """Which arms are worth training on some data, what to expect, and how long it takes.

    Measures what the frozen teacher and the student's start weights know of the training and
    validation images, and some steps of the recommended arms. Trains nothing and does not read the
    test split.

    data: a data set's name, or a path.
    recipe: whose teacher and networks; by default ``photos``, or ``few-labels`` for drawn birds.
    settings: dotted keys of the recipe and their values. regimes: the rows of a map.
    Raises ``UserError`` for what the user can mend, among it a map that is not there.
    """
    known = summarize(read_rows(absolute(regimes)))
    if not known:
        raise UserError(f"The map {regimes} has no regime with labels alone: gains are over those.")
    usual = ADVISED_RECIPE_FIELD_GUIDE if str(data) == FIELD_GUIDE else ADVISED_RECIPE
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(str(recipe or usual))
    source = {"data.source": absolute_source(str(data))}
    chosen = chosen.changed({**(settings or {}), **source})
    found = measure(prepare(chosen, emit, "val"), {"student": chosen.student}, emit=emit)
    advice = _advise(found["student"], known)
    arms: Any = advice.recommended
    return replace(advice, seconds=estimate(chosen, arms, [0], emit).seconds)


def run_study(
    recipe: Recipe | str | Path,
    out: str | Path,
    *,
    arms: Sequence[Arm] = DEFAULT_ARMS,
    seeds: Sequence[int] = (0,),
    resume: Resume = False,
    emit: Emit = ignore,
) -> list[dict[str, Any]]:
    """Train every arm for every seed into ``out``, and return the ``result.json`` of each run.

    recipe: a recipe, its name, or a ``.yaml`` file.
    resume: continue the study in ``out`` (True), or begin it if there is none (``"auto"``); nothing
        that is finished is repeated. By default nothing is overwritten.
    emit: called with progress events, say ``dait.runs.sinks.TerminalSink()``.
    Raises ``UserError`` for what the user can mend, and when the study is stopped ``Stopped``.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(str(recipe))
    return _run_study(chosen, arms, seeds, absolute(out), emit, resume)


def export_model(
    run: str | Path, folder: str | Path, *, onnx: bool = True, emit: Emit = ignore
) -> Bundle:
    """Write the student of a finished run to a new folder that works without this project.

    Weights for timm or torchvision, a model card, and with ``onnx`` also ONNX in fp32 and int8 and
    ``predict.py``; every file is compared with PyTorch on the whole test split.

    run: a path, or a name in the runs folder (``demo/dait-s0``).
    Raises ``UserError`` for what the user can mend; then nothing is written.
    """
    return export_run(RunFolder(study_folder(run)), absolute(folder), onnx, emit)


def load_study(folder: str | Path, seed: int | None = None) -> NetworkRow:
    """The networks of a finished study for one seed (a ``Comparison``), or of a single run.

    folder: a path, or a name in the runs folder. Networks are read when they are first used.
    Raises ``UserError`` for a study that is unfinished or damaged.
    """
    return open_row(study_folder(folder), seed)


def predict(study: NetworkRow, images: Iterable[Picture], top: int = 5) -> list[dict[str, Any]]:
    """The ``top`` most probable classes of each image, by every network of ``load_study``.

    Gives for each image ``{"image": ..., "networks": [...]}``; a network has ``network``, ``role``,
    ``title``, ``latency_ms``, ``unlike`` (anything it was trained on; None where not known) and
    ``top``: ``index``, ``key``, ``name``, ``probability`` (fraction) of a class each. Raises
    ``UserError`` for an image that cannot be read.
    """
    return [
        {"image": image, "networks": predicted_networks(study, read_image(study, image), top)}
        for image in images
    ]


def explain(
    study: NetworkRow,
    image: Picture,
    *,
    target: int | str | None = None,
    method: str | None = None,
    layer: str | None = None,
) -> list[Explanation]:
    """Where each network of a study looks in an image: a heatmap ``(S, S)`` in [0, 1] for each.

    target: the class to explain, by number, key or name, or a sentence, which only a teacher that
        reads text can look for; None explains what each network itself predicts.
    method: ``gradcam``, ``layercam``, ...; None takes each network's default.
    layer: the library's name of a layer; None takes each network's last map.
    Raises ``UserError`` for an unknown class, method or image.
    """
    asked = study.class_or_sentence(target) if isinstance(target, str) else target
    return study.explain(read_image(study, image), method, asked, layer)


def read_image(study: NetworkRow, image: Picture) -> np.ndarray:
    """An image as the networks of a study see it: ``(S, S, 3)`` uint8 RGB."""
    if isinstance(image, (str, Path)):
        return decode_image(Path(image).expanduser(), study.framing)
    return study.prepare(image)
