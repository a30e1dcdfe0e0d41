"""A run's student on the images of another data set that has classes of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dait.data.base import SPLITS, Dataset
from dait.data.folders.names import nfc
from dait.distributed import device
from dait.errors import UserError
from dait.evaluation.metrics import evaluate_logits
from dait.events import Emit, Progress, ignore
from dait.models.checkpoint import load_network
from dait.runs.folder import RunFolder
from dait.training.inference import predict_split

_CHUNK = 512


@dataclass(frozen=True)
class ElsewhereFigures:
    """images: that were classified; unknown: images of classes that the student does not know.

    figures: of ``evaluate_logits``, over ``images``. classes: how many of the student's classes
    have images here, ``of`` all that it knows.
    """

    images: int
    unknown: int
    classes: int
    of: int
    figures: Mapping[str, Any]


def evaluate_elsewhere(run: RunFolder, data: Dataset, emit: Emit = ignore) -> ElsewhereFigures:
    """The student's answers for every labelled image of ``data``, whatever its split.

    Classes are matched by their keys. Nothing is kept. Raises ``UserError`` for a run without
    weights and where no class is known.
    """
    if not run.student.is_file():
        raise UserError(
            f"{run.path} has no {run.student.name}; evaluate a run that has its weights."
        )
    loaded = load_network(run.student)
    network = loaded.network.to(device())
    known = {nfc(key): at for at, key in enumerate(loaded.classes)}
    places = np.array([known.get(nfc(info.key), -1) for info in data.classes] or [-1])
    if (places < 0).all():
        raise UserError(
            f"None of the {len(data.classes)} classes of {data.name} is among the {len(known)} "
            "that this student knows: classes are matched by the names of their folders."
        )
    splits = [data.split(name) for name in SPLITS]
    total, done, unknown = sum(len(split) for split in splits), 0, 0
    logits, labels = [], []
    for split in splits:
        own = np.asarray(split.labels, dtype=np.int64)
        mapped = np.where(own >= 0, places[own], -1)
        wanted = np.flatnonzero(mapped >= 0)
        unknown += len(mapped) - len(wanted)
        for start in range(0, len(wanted), _CHUNK):
            index = wanted[start : start + _CHUNK]
            logits.append(predict_split(network, split, index=index).logits.cpu().numpy())
            labels.append(mapped[index])
            done += len(index)
            emit(Progress("Classifying the images", done, total - unknown))
    if not logits:
        raise UserError(f"{data.name} has no image of a class that this student knows.")
    truth = np.concatenate(labels)
    figures = evaluate_logits(np.concatenate(logits), truth)
    return ElsewhereFigures(len(truth), unknown, len(set(truth.tolist())), len(known), figures)
