"""How a network's features lie: similarities, and figures about them.

Features are ``(N, d)`` float arrays, one row an image; similarities are cosines. Imports NumPy
alone, so that the app can compare networks before heavier libraries are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

NEIGHBOURS = 5

_CHUNK = 2048
_TINY = 1e-12


class IntraInter(NamedTuple):
    """Mean cosine similarity of pairs within a class, of pairs across classes, and the gap."""

    intra: float
    inter: float
    gap: float


def class_similarity(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """``(C, C)`` cosines between the classes' mean (unit length) features, float32.

    The row and column of a class without images are NaN.
    """
    rows = unit_length(features)
    means = np.full((classes, rows.shape[1]), np.nan)
    for label, members in _by_class(np.asarray(labels)):
        means[label] = rows[members].mean(axis=0)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), _TINY)
    return np.clip(means @ means.T, -1, 1).astype(np.float32)


def sample_similarity(features: np.ndarray) -> np.ndarray:
    """``(N, N)`` cosines between images, float32."""
    rows = unit_length(features)
    return np.clip(rows @ rows.T, -1, 1).astype(np.float32)


def intra_inter(features: np.ndarray, labels: np.ndarray) -> IntraInter:
    """Mean similarity over all pairs of different images, within and across classes.

    NaN where there is no such pair.
    """
    rows, labels = unit_length(features), np.asarray(labels)
    # The similarities of a set sum to the squared length of its sum: no N × N table is needed.
    all_sum = float(np.square(rows.sum(axis=0)).sum())
    own = np.square(np.linalg.norm(rows, axis=1))
    within_sum = within_pairs = 0.0
    for _, members in _by_class(labels):
        within_sum += float(np.square(rows[members].sum(axis=0)).sum())
        within_pairs += len(members) * (len(members) - 1)
    across_pairs = len(rows) * (len(rows) - 1) - within_pairs
    intra = (within_sum - float(own.sum())) / within_pairs if within_pairs else float("nan")
    inter = (all_sum - within_sum) / across_pairs if across_pairs else float("nan")
    return IntraInter(intra, inter, intra - inter)


def knn_accuracy(
    features: np.ndarray,
    labels: np.ndarray,
    train_features: np.ndarray | None = None,
    train_labels: np.ndarray | None = None,
    k: int = NEIGHBOURS,
) -> float:
    """Accuracy of the k nearest neighbours by cosine, one vote each.

    Neighbours come from the training features or, without any, from the other images (leave one
    out). A tie of votes goes to the class whose neighbours are nearer.
    Raises ``ValueError`` where there is no neighbour, or training features come without labels.
    """
    if (train_features is None) != (train_labels is None):
        raise ValueError("training features and training labels come together")
    queries, labels = unit_length(features), np.asarray(labels)
    leave_one_out = train_features is None
    bank = queries if train_features is None else unit_length(train_features)
    bank_labels = labels if train_labels is None else np.asarray(train_labels)
    k = min(k, len(bank) - leave_one_out)
    if k < 1:
        raise ValueError("there is no neighbour to vote")
    classes = int(max(labels.max(), bank_labels.max())) + 1
    right = 0
    for start in range(0, len(queries), _CHUNK):
        chunk = queries[start : start + _CHUNK]
        similarity = chunk @ bank.T
        if leave_one_out:
            similarity[np.arange(len(chunk)), start + np.arange(len(chunk))] = -np.inf
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        votes = np.zeros((len(chunk), classes))
        rows = np.arange(len(chunk))[:, None]
        # Similarities differ by at most 2, so k of them never outweigh one vote.
        weights = 1 + np.take_along_axis(similarity, nearest, axis=1) / (4 * k)
        np.add.at(votes, (rows, bank_labels[nearest]), weights)
        right += int((votes.argmax(axis=1) == labels[start : start + _CHUNK]).sum())
    return right / len(labels)


def _by_class(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Every class of ``(N,)`` labels with the places of its images, in rising order.

    Sorted once: a look through all labels for every class would be slow for thousands of them.
    """
    order = np.argsort(labels, kind="stable")
    present, first = np.unique(labels[order], return_index=True)
    yield from zip(present.tolist(), np.split(order, first[1:]), strict=True)


def linear_cka(one: np.ndarray, other: np.ndarray) -> float:
    """Linear CKA of ``(N, d)`` and ``(N, e)`` features, 0 to 1 (Kornblith et al. 2019).

    The rows are the same images. It is biased upwards where N is not much larger than d and e.
    NaN where either side does not vary. Raises ``ValueError`` where the counts differ.
    """
    if len(one) != len(other):
        raise ValueError(f"features of different images: {len(one)} and {len(other)}")
    x = np.asarray(one, dtype=np.float64)
    y = np.asarray(other, dtype=np.float64)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    if len(x) < max(x.shape[1], y.shape[1]):
        gram_x, gram_y = x @ x.T, y @ y.T
        shared = float((gram_x * gram_y).sum())
        scale = float(np.linalg.norm(gram_x) * np.linalg.norm(gram_y))
    else:
        shared = float(np.square(y.T @ x).sum())
        scale = float(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    return shared / scale if scale > _TINY else float("nan")


def stratified_sample(labels: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """At most ``n`` indices in rising order, each class by its share of ``labels``.

    What the rounding leaves over goes to the largest remainders, ties by the seed.
    """
    labels = np.asarray(labels)
    if n >= len(labels):
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * (n / len(labels))
    takes = np.floor(shares).astype(int)
    order = np.lexsort((rng.random(len(classes)), takes - shares))
    takes[order[: n - takes.sum()]] += 1
    chosen = [
        rng.choice(np.flatnonzero(labels == label), size=take, replace=False)
        for label, take in zip(classes, takes, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def unit_length(features: np.ndarray) -> np.ndarray:
    """Rows divided by their lengths, as float64."""
    rows = np.asarray(features, dtype=np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
