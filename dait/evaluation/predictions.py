"""What a run's networks say of a split's images: read where it is kept, else asked and kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dait.arms.plan import ROLE_SEEDS
from dait.data.base import Dataset, SplitName
from dait.data.folders.names import nfc
from dait.data.registry import list_datasets
from dait.distributed import device
from dait.errors import UserError
from dait.evaluation.measure import (
    DATA,
    WEIGHTS,
    made_of,
    networks_of,
    other_networks,
    prediction_arrays,
    write_predictions,
)
from dait.evaluation.records import SLICE, read_predictions
from dait.events import Emit, Note, ignore
from dait.models.checkpoint import load_network
from dait.runs.data import open_data, open_data_of, recipe_of
from dait.runs.folder import RunFolder, StudyFolder
from dait.storage.files import set_aside
from dait.tasks.base import Role
from dait.training.inference import predict_split


@dataclass(frozen=True)
class RunPredictions:
    """What the networks of a run say of every image of a split, in the split's order.

    labels: ``(N,)`` int64; ids: N image names; logits: ``(N, C)`` and pooled: ``(N, p)`` by role,
    float32 (rounded to fp16, as they are kept); slices: names to ``(N,)`` strings, none where the
    file is of a version that did not keep them; kept: the file, None where none can be written.
    """

    split: SplitName
    labels: np.ndarray
    ids: tuple[str, ...]
    logits: Mapping[Role, np.ndarray]
    pooled: Mapping[Role, np.ndarray]
    slices: Mapping[str, np.ndarray]
    kept: Path | None

    @property
    def predicted(self) -> np.ndarray:
        """``(N,)``: the class that the student says of each image."""
        found: np.ndarray = self.logits["student"].argmax(axis=1)
        return found

    @property
    def correct(self) -> np.ndarray:
        """``(N,)`` bool: whether the student is right."""
        right: np.ndarray = self.predicted == self.labels
        return right


def has_answers(run: RunFolder, split: SplitName) -> bool:
    """Whether ``answers_of`` can give any: they are kept, or there are weights to ask."""
    return run.predictions_of(split).exists() or run.student.exists()


def answers_of(run: RunFolder, split: SplitName, emit: Emit = ignore) -> RunPredictions:
    """The answers of the run's student, and of the networks that taught it, on any split.

    What is kept is read. Of the test split it is what the run was measured by, and refused where it
    is damaged; of the others it is asked anew where it is damaged, or where the weights or the
    images are no longer those that it was made of. Predictions that cannot be kept are given
    all the same; ``emit`` hears of both. Raises ``UserError`` where the weights, or the images, are
    needed and cannot be had.
    """
    path = run.predictions_of(split)
    if path.exists():
        arrays = _kept(run, split, emit)
        if arrays is not None:
            return _answers(split, arrays, path)
    arrays = _ask(run, split, emit)
    try:
        write_predictions(path, arrays)
    except UserError as error:
        emit(Note(f"what {run.path.name} says of the {split} split was not kept: {error}"))
        return _answers(split, arrays, None)
    return _answers(split, arrays, path)


def _kept(run: RunFolder, split: SplitName, emit: Emit) -> dict[str, np.ndarray] | None:
    """The arrays of the kept file, or None where they must be made anew."""
    path = run.predictions_of(split)
    try:
        arrays = read_predictions(path)
        changed = "" if split == "test" else _changed(run, arrays, emit)
        if split == "test" and WEIGHTS in arrays and other_networks(run, arrays):
            emit(Note(f"{run.path.name} has other networks now than those that it was measured by"))
    except UserError as error:
        if split == "test":
            mend = f" Or delete {path.name}: then its networks are asked again."
            raise UserError(f"{error}{mend if run.student.exists() else ''}") from error
        emit(Note(f"{path} cannot be used, so the networks are asked again: {error}"))
        if path.is_file():
            with suppress(UserError):  # where nothing can be written, it cannot be overwritten
                emit(Note(f"it is kept as {set_aside(path).name}"))
        return None
    if changed:
        emit(Note(f"{changed} since {path} was written, so the networks are asked again"))
        return None
    return arrays


def _changed(run: RunFolder, arrays: Mapping[str, np.ndarray], emit: Emit) -> str:
    """What is no longer as it was when answers were kept; empty where everything is.

    Of what is gone nothing can be said: then what is kept is all there is.
    """
    if run.student.exists() and other_networks(run, arrays):
        return "the networks have changed"
    try:
        data = _data_here(run)
    except UserError as error:
        emit(Note(f"the kept answers could not be checked against the images: {error}"))
        return ""
    if str(arrays.get(DATA)) != data.fingerprint:
        return "the images have changed"
    return ""


def _ask(run: RunFolder, split: SplitName, emit: Emit) -> dict[str, np.ndarray]:
    """The arrays of a predictions file, by running every network of the run."""
    if not run.student.exists():
        raise UserError(
            f"{run.path} has no {run.student.name}, so nothing can be said of the {split} split. "
            "The run has not finished, or was exported without its networks (an export keeps those "
            "of one seed): evaluate the study that it was exported from."
        )
    files = networks_of(run)
    networks = {role: load_network(file) for role, file in files.items()}
    try:
        data = open_data_of(run.path, recipe_of(run), emit)
    except UserError as error:
        raise UserError(
            f"Its images are needed to evaluate {run.path} on {split}. {error}"
        ) from error
    keys = [nfc(info.key) for info in data.classes]
    for role, loaded in networks.items():
        if [nfc(key) for key in loaded.classes] != keys:
            raise UserError(
                f"{files[role]} knows other classes than the data set {data.name} has now, or in "
                "another order. Put the images back as they were in training."
            )
    _tell_of_other_images(run, data, emit)
    rows = data.split(split)
    emit(Note(f"{run.path.name}: its networks look at {len(rows):,} {split} images"))
    answers = {
        role: predict_split(loaded.network.to(device()), rows) for role, loaded in networks.items()
    }
    return prediction_arrays(answers, rows) | made_of(run, data.fingerprint)


def _data_here(run: RunFolder) -> Dataset:
    """The run's data set if it is on this machine; ``UserError`` if not: nothing is downloaded."""
    recipe = recipe_of(run)
    name = recipe.data.source.partition(":")[0]
    if any(card.name == name and not card.available for card in list_datasets()):
        raise UserError(f"The data set {recipe.data.source} is not on this machine.")
    return open_data(recipe, ignore)


def _tell_of_other_images(run: RunFolder, data: Dataset, emit: Emit) -> None:
    study = StudyFolder(run.path.resolve().parent)
    if not (study.path / "study.json").exists():
        return
    recorded = (study.description().get("data") or {}).get("fingerprint")
    if recorded not in (None, data.fingerprint):
        emit(
            Note(
                "the images are not exactly those that the networks were trained beside: files "
                "were copied or changed, or another version reads them"
            )
        )


def _answers(
    split: SplitName, arrays: Mapping[str, np.ndarray], path: Path | None
) -> RunPredictions:
    def of_roles(what: str) -> dict[Role, np.ndarray]:
        names = {role: what if role == "student" else f"{role}_{what}" for role in ROLE_SEEDS}
        return {
            role: arrays[name].astype(np.float32) for role, name in names.items() if name in arrays
        }

    return RunPredictions(
        split=split,
        labels=arrays["labels"].astype(np.int64),
        ids=tuple(arrays["ids"].tolist()),
        logits=of_roles("logits"),
        pooled=of_roles("pooled"),
        slices={
            name.removeprefix(SLICE): values
            for name, values in arrays.items()
            if name.startswith(SLICE)
        },
        kept=path,
    )
