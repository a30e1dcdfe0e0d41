"""What a network is asked to explain, what it predicts, and the heatmap that explains it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dait.evaluation.records import ComparedNetwork
from dait.runs.folder import RunFolder

if TYPE_CHECKING:
    from torch import nn

TOP = 5
Loader: TypeAlias = "Callable[[], nn.Module]"
"""Reads a network from its file."""


@dataclass(frozen=True)
class Trained:
    """Where a trained network is stored: a run's folder, and the network's role in the run."""

    run: RunFolder
    role: str


@dataclass(frozen=True)
class Explanation:
    """One cell of a heatmap row.

    heat: ``(S, S)`` in [0, 1], divided by its own maximum; all zero when ``empty``.
    raw: ``(h, w)`` as the method gave it, never negative.
    top: the most probable classes, (index, probability), best first.
    target: the class that the heatmap explains; of a sentence, the class that is predicted.
    sentence: what the heatmap explains instead of a class, else empty; ``similarity`` is then its
        cosine with the image, and ``barely`` says that the sentence fits the image hardly better
        than the name of any class does.
    note: why there is no heatmap (the sentence of a ``UserError``), else empty. Then ``empty`` is
        True, ``raw`` is ``(0, 0)``, and ``top`` is empty too if the network could not run at all.
    """

    member: ComparedNetwork
    heat: np.ndarray
    raw: np.ndarray
    empty: bool
    top: list[tuple[int, float]]
    target: int
    note: str = ""
    sentence: str = ""
    similarity: float | None = None
    barely: bool = False


@dataclass(frozen=True)
class NetworkPrediction:
    """What one network predicts for one image.

    top: the most probable classes, (index, probability), best first; seconds: of its forward pass
    on this machine, shared by the images of a batch; unlike: whether the image is unlike anything
    that the network was trained on, None where that was not measured.
    """

    top: list[tuple[int, float]]
    seconds: float
    unlike: bool | None = None


@dataclass(frozen=True)
class Question:
    """What every network of a row is to explain.

    method: a key of ``heatmaps.METHODS``; None takes each network's default.
    target: the class to explain; None explains what each network itself predicts.
    sentence: instead of a class, for the frozen teacher alone: the others know no words.
    layer: the library's name of a layer; None takes each network's own.
    """

    method: str | None = None
    target: int | None = None
    sentence: str = ""
    layer: str | None = None
