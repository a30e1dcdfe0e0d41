"""A finished run's student as a folder to be handed on: weights, ONNX, figures, card, script."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np

from dait.bundle.card import model_card
from dait.bundle.deployment import keep_deployment
from dait.bundle.graph import export_onnx, logits_of, open_graph
from dait.bundle.measure import Answers, SplitFiles, measure_bundle
from dait.bundle.preprocess import labels_of, preprocessing
from dait.bundle.quantize import CALIBRATION_IMAGES, quantize
from dait.bundle.web.build import PAGE, page_of_bundle
from dait.bundle.web.runtime import web_runtime
from dait.bundle.weights import FP16, WEIGHTS, halved, library_config, plain_weights
from dait.data.base import ClassInfo, Dataset
from dait.errors import UserError
from dait.evaluation.evaluate import data_here, familiarity_of
from dait.evaluation.features.familiarity import FAMILIAR
from dait.evaluation.records import classes_around
from dait.evaluation.unlike import UnlikeScore
from dait.events import Emit, Note, ignore
from dait.models.checkpoint import LoadedNetwork, load_network
from dait.models.tensors import save_tensors
from dait.runs.data import recipe_of
from dait.runs.folder import RunFolder, StudyFolder, to_json
from dait.storage.files import cannot_write, new_folder

ONNX, INT8, SCRIPT, CARD = "model.onnx", "model.int8.onnx", "predict.py", "README.md"
CONFIG, LABELS, PREPROCESS = "config.json", "labels.json", "preprocess.json"
DEPLOYMENT = "deployment.json"
ALIKE = 1e-4
"""By how much a probability of a file may differ from PyTorch's to be called the same."""


@dataclass(frozen=True)
class Bundle:
    """An exported student.

    files: the size of each in bytes. agreement: for ``timm``, ``onnx``, ``int8``, ``fp16`` and
    ``predict`` (the script) the share of test images with PyTorch's answer. top1: of each, and of
    ``torch``. deployment: all that ``deployment.json`` says.
    """

    folder: Path
    files: Mapping[str, int]
    agreement: Mapping[str, float]
    top1: Mapping[str, float]
    deployment: Mapping[str, Any]


def export_run(
    run: RunFolder, folder: Path, onnx: bool = True, emit: Emit = ignore, web: bool = False
) -> Bundle:
    """Write a finished run's student to a new folder, every file compared on the test split.

    onnx: also write ``model.onnx``, ``model.int8.onnx`` and ``predict.py``. web: these, and
    ``index.html``, which runs the student in a browser (``dait.bundle.web``). The folder appears
    when all is done, and its figures are kept beside the run. Raises ``UserError`` for a run that
    is not finished, has no weights or whose images are not on this machine; for a network that ONNX
    cannot hold; where ``folder`` has files; and for a full disk.
    """
    _require_finished(run)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already; name a new folder.")
    student = load_network(run.student)
    data = data_here(run, emit)
    classes = _classes(run, student, data)
    runtime = web_runtime(emit) if web else None
    try:
        with new_folder(folder) as unfinished:
            deployment = _fill(unfinished, run, student, classes, data, onnx or web, emit)
            if runtime is not None:
                title = f"{student.network.spec.name}: {data.name}"
                page = page_of_bundle(unfinished, runtime, title)
                (unfinished / PAGE).write_text(page, encoding="utf-8")
            sizes = {file.name: file.stat().st_size for file in sorted(unfinished.iterdir())}
    except OSError as error:
        raise cannot_write(folder, error) from error
    keep_deployment(run, deployment, emit)
    return Bundle(folder, sizes, deployment["agreement"], deployment["top1"], deployment)


def _require_finished(run: RunFolder) -> None:
    if (run.path / "study.json").is_file():
        names = [one.path.name for one in StudyFolder(run.path).runs() if one.student.is_file()]
        raise UserError(
            f"{run.path} is a study of several runs; name one of them: "
            f"{', '.join(names) or 'none has finished'}."
        )
    if not run.begun:
        raise UserError(f"{run.path} is no run: it has no config.yaml. Name the folder of a run.")
    state = run.state()
    if state != "finished" or run.result() is None:
        raise UserError(f"{run.path} is {state}; only a finished run can be exported.")
    if not run.student.is_file():
        raise UserError(
            f"{run.path} has no {run.student.name} (a study that was made small keeps the networks "
            "of one seed): export a run of that seed, or the run that it was copied from."
        )


def _classes(run: RunFolder, student: LoadedNetwork, data: Dataset) -> tuple[ClassInfo, ...]:
    """In the order of the logits. Raises ``UserError`` where the data has others."""
    keys = tuple(student.classes)
    if tuple(info.key for info in data.classes) != keys:
        raise UserError(
            f"The data of {run.path} has other classes now than those that its student was trained "
            "on. Put the images back, or train it again."
        )
    named = classes_around(run.path)
    return named if tuple(info.key for info in named) == keys else data.classes


def _fill(
    folder: Path,
    run: RunFolder,
    student: LoadedNetwork,
    classes: tuple[ClassInfo, ...],
    data: Dataset,
    onnx: bool,
    emit: Emit,
) -> dict[str, Any]:
    """Write every file, and give what ``deployment.json`` says."""
    network, framing = student.network, recipe_of(run).data.framing
    config = library_config(network, classes, framing)
    labels, how = labels_of(classes), preprocessing(network, framing)
    weights = plain_weights(network)
    if weights.left_out:
        emit(Note(weights.left_out))
    save_tensors(folder / WEIGHTS, weights.tensors, {"format": "pt"})
    save_tensors(folder / FP16, halved(network, weights), {"format": "pt"})
    for name, content in ((CONFIG, config), (LABELS, labels), (PREPROCESS, how)):
        (folder / name).write_text(to_json(content, indent=1) + "\n", encoding="utf-8")
    graphs: dict[str, Answers] = {}
    int8 = None
    familiarity = familiarity_of(run, emit).get("student")
    score = None if familiarity is None else UnlikeScore(familiarity)
    unlike = None if score is None else {"threshold": score.threshold, "familiar": FAMILIAR}
    if onnx:
        emit(Note(f"writing {network.spec.name} as ONNX"))
        metadata = {"labels": labels, "preprocess": how, "unlike": unlike}
        export_onnx(network, folder / ONNX, metadata, score)
        shutil.copyfile(str(package_files("dait.bundle") / SCRIPT), folder / SCRIPT)
        emit(Note("quantising it to int8"))
        int8 = quantize(folder / ONNX, folder / INT8, _calibration(data))
        for name, file in (("onnx", ONNX), ("int8", INT8)):
            session = open_graph(folder / file)
            graphs[name] = lambda images, session=session: logits_of(session, images)  # type: ignore[misc]
    measured = measure_bundle(
        folder, network, config, labels, SplitFiles(data), framing, graphs, emit
    )
    deployment = {
        "network": network.spec.name,
        "image_size": framing.size,
        "classes": len(classes),
        **measured,
        "bytes": _sizes(folder),
        "int8": int8,
        "unlike": unlike,
        "left_out": weights.left_out or None,
    }
    for sentence in _disagreements(deployment):
        emit(Note(sentence))
    (folder / DEPLOYMENT).write_text(to_json(deployment, indent=1) + "\n", encoding="utf-8")
    card = model_card(run, classes, data, framing, config, deployment)
    (folder / CARD).write_text(card, encoding="utf-8")
    return deployment


def _calibration(data: Dataset) -> np.ndarray:
    """``(N, 3, S, S)`` float32 in [0, 1]: validation images drawn with a fixed seed."""
    val = data.split("val")
    chosen = np.random.default_rng(0).permutation(len(val))[:CALIBRATION_IMAGES]
    images = np.asarray(val.images[np.sort(chosen)])
    return images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of each form of the network."""
    names = {"torch": WEIGHTS, "fp16": FP16, "onnx": ONNX, "int8": INT8}
    return {
        name: (folder / file).stat().st_size
        for name, file in names.items()
        if (folder / file).exists()
    }


def _disagreements(deployment: Mapping[str, Any]) -> list[str]:
    """A sentence for each file that should be the very same student and is not."""
    exact = ["onnx", "predict", *([] if deployment["left_out"] else ["timm"])]
    found = []
    for name in exact:
        share, far = deployment["agreement"].get(name, 1), deployment["difference"].get(name, 0)
        if share < 1 or far > ALIKE:
            found.append(
                f"{name} gives PyTorch's answer for {share:.2%} of the test images; its "
                f"probabilities differ by up to {far:.1e}"
            )
    return found
