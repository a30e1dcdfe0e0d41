"""Accuracy class by class, and what one arm gains over another in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassGains:
    """How much more of each class one arm gets right than another, over ``seeds`` seeds.

    All are ``(C,)`` and NaN for a class without images. ours, theirs: mean accuracies; gain: the
    mean of their differences seed by seed; sd: its standard deviation, NaN for one seed; count: the
    class's images.
    """

    ours: np.ndarray
    theirs: np.ndarray
    gain: np.ndarray
    sd: np.ndarray
    count: np.ndarray
    seeds: int


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """``(C,)``: how many images each class has."""
    return np.bincount(labels, minlength=classes)


def class_accuracy(correct: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """``(C,)``: the fraction of each class's images that are right, NaN for one without images.

    correct: ``(N,)`` bool; labels: ``(N,)`` class indices.
    """
    count = class_counts(labels, classes)
    right = np.bincount(labels, weights=correct, minlength=classes)
    return np.divide(right, count, out=np.full(classes, np.nan), where=count > 0)


def class_gains(
    ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], labels: np.ndarray, classes: int
) -> ClassGains:
    """The gains of one arm over another.

    ours, theirs: for each seed, which of the N images an arm has right, ``(N,)`` bool, the same
    seeds in the same order. Raises ``ValueError`` where there is no seed or they do not pair up.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} seeds do not pair up")
    a = np.stack([class_accuracy(correct, labels, classes) for correct in ours])
    b = np.stack([class_accuracy(correct, labels, classes) for correct in theirs])
    several = len(a) > 1
    sd = (a - b).std(axis=0, ddof=1) if several else np.full(classes, np.nan)
    return ClassGains(
        ours=a.mean(axis=0),
        theirs=b.mean(axis=0),
        gain=(a - b).mean(axis=0),
        sd=sd,
        count=class_counts(labels, classes),
        seeds=len(a),
    )
