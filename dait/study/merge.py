"""Studies of one recipe, run apart (say a seed a machine), put together as one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dait.config.recipe import parse_recipe
from dait.errors import UserError
from dait.evaluation.features.projection import write_tsne
from dait.evaluation.predictions import read_predictions
from dait.evaluation.records import read_study, read_teacher
from dait.evaluation.results.localisation import IMAGES_FILE_NAME, ImageFigures
from dait.events import Emit, Note, ignore
from dait.runs.folder import RunFolder, StudyFolder
from dait.storage.files import new_folder

SAME = ("recipe", "classes", "counts", "teacher")
"""What studies must agree in for their figures to be comparable; see ``_identity``."""

COPIED = ("teacher.npz", "log.txt")
"""Files of the first study that hold for all. Every other one is of its networks alone."""

MEASURED_AGAIN = {
    "localisation.json": "python -m dait localise",
    "knowledge.json": "python -m dait teacher probe TEACHER --study",
    "umap.npz": "python -m dait embed --umap",
}
"""What was measured of one study's networks, and what measures it of all."""

ALIKE = 0.999
"""Least mean cosine of what the frozen teacher made of the test images on two machines."""


def merge_studies(studies: Sequence[StudyFolder], out: Path, emit: Emit = ignore) -> StudyFolder:
    """Copy the runs of finished ``studies`` into the new study ``out``; the first one leads.

    What was measured of one study's networks is left out, with a note of what measures it again;
    the t-SNE map is made of all. Raises UserError when one is not finished, when they differ in
    recipe, data or teacher, or were tested on different images, when two hold the same arm and
    seed, or when ``out`` exists.
    """
    if len(studies) < 2:
        raise UserError("Name at least two studies to merge.")
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder.")
    described = [_described(study) for study in studies]
    first = described[0]
    for study, other in zip(studies, described, strict=True):
        mine, theirs = _identity(first), _identity(other)
        differing = [name for name in SAME if mine[name] != theirs[name]]
        if differing:
            raise UserError(
                f"{study.path} differs from {studies[0].path} in {', '.join(differing)}; only "
                "studies of the same recipe, data and teacher can be merged."
            )
        _require_same_images(studies[0], study)
    rows = [row for other in described for row in other["runs"]]
    names = [row["dir"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"More than one of the studies holds {', '.join(twice)}; leave one out.")
    with new_folder(out) as unfinished:
        merged = StudyFolder(unfinished)
        for name in COPIED:
            if (studies[0].path / name).exists():
                shutil.copyfile(studies[0].path / name, unfinished / name)
        for study, other in zip(studies, described, strict=True):
            for row in other["runs"]:
                shutil.copytree(study.path / row["dir"], unfinished / row["dir"])
        _describe(merged, studies[0], first, rows)
        _merge_measurements(merged, studies, out, emit)
    return StudyFolder(out)


def _merge_measurements(
    merged: StudyFolder, studies: Sequence[StudyFolder], out: Path, emit: Emit
) -> None:
    named = ", ".join(study.path.name for study in studies)
    merged.log(f"merged from {named}")
    # The figures of single images are named by network, weights and images: those hold as they are.
    if any((study.path / IMAGES_FILE_NAME).exists() for study in studies):
        ImageFigures(merged.path).add(ImageFigures(study.path) for study in studies)
    for file, command in MEASURED_AGAIN.items():
        if any((study.path / file).exists() for study in studies):
            note = f"{file} is left out: it knows the networks of one study. Again: {command} {out}"
            merged.log(note)
            emit(Note(note))
    try:
        write_tsne(merged, emit)
    except UserError as error:
        merged.log(f"no t-SNE map: {error}")
        emit(Note(f"no t-SNE map: {error}"))


def _describe(
    merged: StudyFolder, study: StudyFolder, first: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    seeds = sorted({row["seed"] for row in rows})
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    merged.write_description(first | {"arms": arms, "seeds": seeds, "runs": rows})
    of_process = ("pid", "host", "boot", "folder")
    status = {key: value for key, value in study.status().items() if key not in of_process}
    message = f"{len(rows)} runs finished"
    merged.write_status(**status | {"run_count": len(rows), "message": message})


def _require_same_images(first: StudyFolder, other: StudyFolder) -> None:
    """Raises UserError where the test splits differ, as far as the studies say: names and labels of
    the images, and what the frozen teacher made of them."""
    mine, theirs = _tested_on(first), _tested_on(other)
    if mine and theirs and mine != theirs:
        raise UserError(
            f"{other.path} was tested on other images than {first.path} (names or labels differ); "
            "only studies of the same data can be merged."
        )
    one, two = read_teacher(read_study(first)), read_teacher(read_study(other))
    if one is None or two is None:
        return
    a, b = one["embeddings"], two["embeddings"]
    alike = a.shape == b.shape and np.mean((a * b).sum(axis=1) / _lengths(a, b)) >= ALIKE
    if not alike:
        raise UserError(
            f"The frozen teacher saw other test images in {other.path} than in {first.path}, or "
            "under the same names other contents; only studies of the same data can be merged."
        )


def _lengths(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-12)


def _tested_on(study: StudyFolder) -> tuple[list[str], list[int]] | None:
    """Names and labels of the test images, from the first run that kept them."""
    kept: list[RunFolder] = [run for run in study.runs() if run.predictions.exists()]
    if not kept:
        return None
    found = read_predictions(kept[0].predictions)
    return list(found.ids), found.labels.tolist()


def _identity(described: dict[str, Any]) -> dict[str, Any]:
    """What must agree. Not measured figures, which another machine may round otherwise, nor a
    folder's fingerprint, which holds the times of its files."""
    teacher, data = described.get("teacher", {}), described.get("data", {})
    return {
        "recipe": described.get("recipe"),
        "classes": described.get("classes"),
        "counts": data.get("counts"),
        "teacher": (teacher.get("name"), teacher.get("weights_hash")),
    }


def _described(study: StudyFolder) -> dict[str, Any]:
    if study.state() != "finished":
        raise UserError(f"{study.path} is {study.state()}; only finished studies can be merged.")
    described = study.description()
    # With the settings filled in that were not there yet when an older study was written.
    recipe = parse_recipe(described.get("recipe"), str(study.path / "study.json"))
    return described | {"recipe": recipe.model_dump(mode="json")}
