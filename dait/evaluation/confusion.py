"""What a network takes for what: the confusion matrix, and its most confused pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PAIRS = 10
EXAMPLES = 5


@dataclass(frozen=True)
class ConfusedPair:
    """Images of class ``label`` that are taken for class ``predicted``.

    count: how many; share: their fraction of the class's images; examples: the places of some of
    them in the split, those that the network was surest of first.
    """

    label: int
    predicted: int
    count: int
    share: float
    examples: tuple[int, ...]


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """``(C, C)`` int: images of the row's class that were taken for the column's.

    predicted, labels: ``(N,)`` class indices.
    """
    cells = labels.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def grouped_confusion(matrix: np.ndarray, groups: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The confusion of coarse groups: their names, in order of appearance, and ``(G, G)`` counts.

    matrix: ``(C, C)``; groups: the group of every class.
    """
    names = list(dict.fromkeys(groups))
    member = np.array([[group == name for group in groups] for name in names], dtype=matrix.dtype)
    return names, member @ matrix @ member.T


def most_confused(
    logits: np.ndarray, labels: np.ndarray, pairs: int = PAIRS, examples: int = EXAMPLES
) -> list[ConfusedPair]:
    """The pairs of classes that are confused most often, most images first.

    logits: ``(N, C)``; labels: ``(N,)``. Of pairs with as many images, that with the larger share
    of its class comes first, then the lower class indices. At most ``pairs`` of them, with at most
    ``examples`` images each.
    """
    predicted = logits.argmax(axis=1)
    classes = logits.shape[1]
    of_class = np.bincount(labels, minlength=classes)
    wrong = predicted != labels
    # Of pairs that occur alone: of thousands of classes a whole matrix would be gigabytes.
    cells, counts = np.unique(
        labels[wrong].astype(np.int64) * classes + predicted[wrong], return_counts=True
    )
    found = [
        (label, taken, count, count / of_class[label])
        for (label, taken), count in zip(
            (divmod(cell, classes) for cell in cells.tolist()), counts.tolist(), strict=True
        )
    ]
    found.sort(key=lambda pair: (-pair[2], -pair[3], pair[0], pair[1]))
    margin = logits.max(axis=1) - np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    rows = []
    for label, taken, count, share in found[:pairs]:
        images = np.flatnonzero((labels == label) & (predicted == taken))
        surest = images[np.argsort(-margin[images], kind="stable")][:examples]
        rows.append(ConfusedPair(label, taken, count, float(share), tuple(surest.tolist())))
    return rows
