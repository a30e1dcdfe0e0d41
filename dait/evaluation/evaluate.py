"""Predictions and figures of a run on any split: read where they are stored, else computed once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from dait.data.base import ClassInfo, Dataset, SplitName
from dait.data.folders.names import nfc
from dait.data.sources.catalogue import list_datasets
from dait.distributed import device
from dait.errors import UserError
from dait.evaluation.features.familiarity import Familiarity, by_prefix
from dait.evaluation.measure import (
    measure_familiarity,
    networks_of,
    other_networks,
    prediction_arrays,
    weights_and_data,
)
from dait.evaluation.predictions import (
    ROLES,
    WEIGHTS,
    RunPredictions,
    predictions_from,
    read_predictions,
)
from dait.evaluation.records import classes_around
from dait.evaluation.runs import EvaluatedRun, figures_of, recorded_figures
from dait.events import Emit, Note, ignore
from dait.models.checkpoint import load_network
from dait.models.network import Network
from dait.runs.data import open_data_of, recipe_of
from dait.runs.files import load_arrays
from dait.runs.folder import RunFolder, StudyFolder
from dait.storage.files import set_aside, write_arrays
from dait.tasks.base import Role
from dait.training.inference import predict_split

_ROUNDING = 0.01
"""How far a recorded top-1 may lie from that of the stored logits, which are rounded to fp16."""


def evaluate_run(run: RunFolder, split: SplitName = "test", emit: Emit = ignore) -> EvaluatedRun:
    """Evaluate a run on a split; its networks are run once (``predictions_of``).

    Figures of the test split are those that ``result.json`` recorded. Raises ``UserError`` for a
    run that is not finished or is damaged, and where weights or images are missing.
    """
    if not run.begun:
        raise UserError(f"{run.path} has not begun: there is nothing to evaluate yet.")
    result = run.result()
    arm, seed = _arm_and_seed(run)
    if result is not None and split == "test" and not has_predictions(run, split):
        missing = (
            f"{run.path} has no {run.predictions.name} and no {run.student.name}: its figures are "
            "those that result.json recorded, and nothing is known of single images."
        )
        figures = recorded_figures(run, result)
        classes = classes_around(run.path)
        return EvaluatedRun(run, arm, seed, split, classes, figures, None, missing)
    predictions = predictions_of(run, split, emit)
    figures = figures_of(predictions)
    if result is not None and split == "test":
        recorded = recorded_figures(run, result)
        _check_same_test(run, recorded, figures)
        known = {name: value for name, value in recorded.items() if value not in (None, {})}
        figures = {**figures, **known}
    classes = _classes(run, predictions.logits["student"].shape[1])
    return EvaluatedRun(run, arm, seed, split, classes, figures, predictions)


def has_predictions(run: RunFolder, split: SplitName) -> bool:
    """Whether ``predictions_of`` has a file to read or a student to run."""
    return run.predictions_of(split).exists() or run.student.exists()


def predictions_of(run: RunFolder, split: SplitName, emit: Emit = ignore) -> RunPredictions:
    """Predictions of the run's student and its teachers on any split.

    A file is read where there is one. That of the test split is what the run was measured by, and
    refused where it is damaged; those of other splits are computed again where they are damaged, or
    where the weights or the images have changed since. Predictions that cannot be
    stored are returned all the same; ``emit`` is notified of both. Raises ``UserError`` where
    weights or images are needed and missing.
    """
    path = run.predictions_of(split)
    stored = _stored(run, split, emit) if path.exists() else None
    if stored is not None:
        return stored
    arrays = _computed(run, split, emit)
    try:
        write_arrays(path, arrays)
    except UserError as error:
        emit(Note(f"predictions of {run.path.name} on the {split} split were not kept: {error}"))
        return predictions_from(arrays, None)
    return predictions_from(arrays, path)


def stored_familiarity(run: RunFolder) -> dict[str, Familiarity]:
    """What was measured of the run's present networks, by role; none where nothing was.

    A file that cannot be used counts as none: it is made anew.
    """
    try:
        arrays = load_arrays(run.familiarity) or {}
        if WEIGHTS not in arrays or other_networks(run, str(arrays[WEIGHTS])):
            return {}
    except UserError:
        return {}
    found = {role: by_prefix(arrays, f"{role}_") for role in ROLES}
    return {role: own for role, own in found.items() if own is not None}


def familiarity_of(run: RunFolder, emit: Emit = ignore) -> dict[str, Familiarity]:
    """``stored_familiarity``, measured and kept in the run's folder where it is missing.

    Runs every network over training and validation images. Nothing is downloaded: where images or
    weights are not on this machine there is none, and a note says why.
    """
    found = stored_familiarity(run)
    if found or not run.student.exists():
        return found
    try:
        data = data_here(run)
        networks = _networks(run, data)
        emit(Note(f"{run.path.name}: measuring what its training images look like to its networks"))
        arrays = measure_familiarity(networks, data, run)
        write_arrays(run.familiarity, arrays)
    except UserError as error:
        emit(Note(f"{run.path.name} cannot say what is unlike anything trained on: {error}"))
        return {}
    return stored_familiarity(run)


def _stored(run: RunFolder, split: SplitName, emit: Emit) -> RunPredictions | None:
    """The predictions in the file, or None where they must be computed again."""
    path = run.predictions_of(split)
    try:
        found = read_predictions(path)
        changed = "" if split == "test" else _changed(run, found, emit)
        if split == "test" and found.weights is not None and other_networks(run, found.weights):
            emit(Note(f"{run.path.name} has other networks now than those that it was measured by"))
    except UserError as error:
        if split == "test":
            remedy = f" Or delete {path.name}: its networks then predict again."
            raise UserError(f"{error}{remedy if run.student.exists() else ''}") from error
        emit(Note(f"{path} cannot be used, so the networks predict again: {error}"))
        if path.is_file():
            with suppress(UserError):  # where nothing can be written, it cannot be overwritten
                emit(Note(f"it is kept as {set_aside(path).name}"))
        return None
    if changed:
        emit(Note(f"{changed} since {path} was written, so the networks predict again"))
        return None
    return found


def _changed(run: RunFolder, stored: RunPredictions, emit: Emit) -> str:
    """What has changed since the predictions were stored; empty where nothing has.

    Where the images are gone, the stored predictions are all that there is.
    """
    if run.student.exists() and other_networks(run, stored.weights):
        return "the networks have changed"
    try:
        data = data_here(run)
    except UserError as error:
        emit(Note(f"the stored predictions could not be checked against the images: {error}"))
        return ""
    return "" if stored.data == data.fingerprint else "the images have changed"


def _computed(run: RunFolder, split: SplitName, emit: Emit) -> dict[str, np.ndarray]:
    """The arrays of a predictions file, from every network of the run."""
    if not run.student.exists():
        raise UserError(
            f"{run.path} has no {run.student.name}, so nothing can be predicted for the {split} "
            "split. The run has not finished, or was exported without its networks (an export "
            "keeps those of one seed): evaluate the study that it was exported from."
        )
    try:
        data = open_data_of(run.path, recipe_of(run), emit)
    except UserError as error:
        raise UserError(
            f"Its images are needed to evaluate {run.path} on {split}. {error}"
        ) from error
    networks = _networks(run, data)
    _note_other_images(run, data, emit)
    images = data.split(split)
    emit(Note(f"{run.path.name}: its networks predict {len(images):,} {split} images"))
    outputs = {role: predict_split(network, images) for role, network in networks.items()}
    return prediction_arrays(outputs, images) | weights_and_data(run, data.fingerprint)


def _networks(run: RunFolder, data: Dataset) -> dict[Role, Network]:
    """The run's networks on this machine's device; ``UserError`` if they know other classes."""
    keys = [nfc(info.key) for info in data.classes]
    networks: dict[Role, Network] = {}
    for role, file in networks_of(run).items():
        loaded = load_network(file)
        if [nfc(key) for key in loaded.classes] != keys:
            raise UserError(
                f"{file} knows other classes than the data set {data.name} has now, or in "
                "another order. Put the images back as they were in training."
            )
        networks[role] = loaded.network.to(device())
    return networks


def data_here(run: RunFolder, emit: Emit = ignore) -> Dataset:
    """The run's data set if it is on this machine; ``UserError`` if not: nothing is downloaded."""
    recipe = recipe_of(run)
    name = recipe.data.source.partition(":")[0]
    if any(card.name == name and not card.available for card in list_datasets()):
        raise UserError(f"The data set {recipe.data.source} is not on this machine.")
    return open_data_of(run.path, recipe, emit)


def _note_other_images(run: RunFolder, data: Dataset, emit: Emit) -> None:
    study = StudyFolder(run.path.resolve().parent)
    if not (study.path / "study.json").exists():
        return
    recorded = (study.description().get("data") or {}).get("fingerprint")
    if recorded not in (None, data.fingerprint):
        emit(
            Note(
                "the images are not exactly those of the training: files were copied or changed, "
                "or another version reads them"
            )
        )


def _arm_and_seed(run: RunFolder) -> tuple[str, int]:
    config = run.config()
    try:
        return str(config["arm"]), int(config["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{run.path / 'config.yaml'} does not say which arm and seed it is of; train it again."
        ) from error


def _check_same_test(run: RunFolder, recorded: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    apart = abs(recorded["top1"] - found["top1"])
    if recorded["n"] != found["n"] or apart > _ROUNDING + 1 / found["n"]:
        raise UserError(
            f"{run.predictions} and result.json are not of the same test: top-1 is "
            f"{found['top1']:.2%} of {found['n']} images, and {recorded['top1']:.2%} of "
            f"{recorded['n']}. Put back the one that was changed, or train the run again."
        )


def _classes(run: RunFolder, count: int) -> tuple[ClassInfo, ...]:
    """Named by the study that holds the run, else by the student's file, else by number."""
    classes = classes_around(run.path)
    if not classes and run.student.exists():
        classes = tuple(ClassInfo(key, key) for key in load_network(run.student).classes)
    if not classes:
        return tuple(ClassInfo(str(index), f"class {index}") for index in range(count))
    if len(classes) != count:
        raise UserError(
            f"{run.path} has predictions for {count} classes and {len(classes)} are named; its "
            "files do not belong together."
        )
    return classes
