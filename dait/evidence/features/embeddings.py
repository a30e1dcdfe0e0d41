"""How a network's features lie: t-SNE, similarities, and figures about both.

Features are ``(N, d)`` float arrays, one row an image; similarities are cosines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from dait.errors import UserError
from dait.events import Emit, Progress, ignore

PCA_DIMENSIONS = 50
MIN_TSNE_IMAGES = 5
NEIGHBOURS = 5

_CHUNK = 2048
_TINY = 1e-12


class IntraInter(NamedTuple):
    """Mean cosine similarity of pairs within a class, of pairs across classes, and the gap."""

    intra: float
    inter: float
    gap: float


def tsne(
    features: Mapping[str, np.ndarray],
    perplexity: float = 30.0,
    seed: int = 0,
    emit: Emit = ignore,
) -> dict[str, np.ndarray]:
    """A t-SNE map ``(N, 2)`` of each arm's ``(N, d)`` features, float32, in the arms' order.

    Rows are the same images in every arm. Features are scaled to unit length and reduced to 50
    principal components first. The perplexity is bounded by (N − 1) / 3. A t-SNE map has no
    orientation, so every map after the first is turned (and mirrored) onto the first, which
    changes no distance. An arm whose features are all alike lies on one point. ``emit`` hears of
    every map that is done.
    Raises ``UserError`` with fewer than 5 images, ``ValueError`` where the arms' counts differ.
    """
    n = _images_of(features)
    bounded = min(perplexity, (n - 1) / 3)
    return _maps(features, lambda rows: _tsne_of(rows, bounded, seed), "t-SNE", emit)


def umap(
    features: Mapping[str, np.ndarray],
    neighbours: int = 15,
    seed: int = 0,
    emit: Emit = ignore,
) -> dict[str, np.ndarray]:
    """As ``tsne``, by UMAP (McInnes et al. 2018) with cosine distances.

    neighbours: bounded by N − 1. Raises ``UserError`` where the package ``umap-learn`` is missing.
    """
    if find_spec("umap") is None:
        raise UserError(
            "UMAP needs the package umap-learn, which is not installed: pip install umap-learn "
            "(or leave out --umap; the t-SNE maps need nothing more)."
        )
    bounded = min(neighbours, _images_of(features) - 1)
    return _maps(features, lambda rows: _umap_of(rows, bounded, seed), "UMAP", emit)


def class_similarity(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """``(C, C)`` cosines between the classes' mean (unit length) features, float32.

    The row and column of a class without images are NaN.
    """
    rows = _unit(features)
    means = np.full((classes, rows.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = rows[labels == label].mean(axis=0)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), _TINY)
    return np.clip(means @ means.T, -1, 1).astype(np.float32)


def sample_similarity(features: np.ndarray) -> np.ndarray:
    """``(N, N)`` cosines between images, float32."""
    rows = _unit(features)
    return np.clip(rows @ rows.T, -1, 1).astype(np.float32)


def intra_inter(features: np.ndarray, labels: np.ndarray) -> IntraInter:
    """Mean similarity over all pairs of different images, within and across classes.

    NaN where there is no such pair.
    """
    rows, labels = _unit(features), np.asarray(labels)
    # The similarities of a set sum to the squared length of its sum: no N × N table is needed.
    all_sum = float(np.square(rows.sum(axis=0)).sum())
    own = np.square(np.linalg.norm(rows, axis=1))
    within_sum = within_pairs = 0.0
    for label in np.unique(labels):
        members = rows[labels == label]
        within_sum += float(np.square(members.sum(axis=0)).sum())
        within_pairs += len(members) * (len(members) - 1)
    across_pairs = len(rows) * (len(rows) - 1) - within_pairs
    intra = (within_sum - float(own.sum())) / within_pairs if within_pairs else float("nan")
    inter = (all_sum - within_sum) / across_pairs if across_pairs else float("nan")
    return IntraInter(intra, inter, intra - inter)


def silhouette(features: np.ndarray, labels: np.ndarray) -> float:
    """The mean silhouette by cosine distance, −1 to 1; NaN where it is not defined.

    It needs between 2 and N − 1 classes among the N images.
    """
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) <= len(labels) - 1:
        return float("nan")
    return float(silhouette_score(_unit(features), labels, metric="cosine"))


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
    queries, labels = _unit(features), np.asarray(labels)
    leave_one_out = train_features is None
    bank = queries if train_features is None else _unit(train_features)
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


def _unit(features: np.ndarray) -> np.ndarray:
    rows = np.asarray(features, dtype=np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)


def _images_of(features: Mapping[str, np.ndarray]) -> int:
    counts = {arm: len(rows) for arm, rows in features.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"the arms must show the same images, found {counts}")
    n = min(counts.values(), default=MIN_TSNE_IMAGES)
    if n < MIN_TSNE_IMAGES:
        raise UserError(
            f"A t-SNE map needs at least {MIN_TSNE_IMAGES} images and there are {n}; "
            "show more images."
        )
    return n


def _maps(
    features: Mapping[str, np.ndarray],
    place: Callable[[np.ndarray], np.ndarray],
    by: str,
    emit: Emit,
) -> dict[str, np.ndarray]:
    maps: dict[str, np.ndarray] = {}
    for arm, rows in features.items():
        placed = place(_unit(rows))
        first = next(iter(maps.values()), None)
        maps[arm] = placed if first is None else _turned_onto(first, placed)
        emit(Progress(f"Placing test images by {by}", len(maps), len(features), "networks"))
    return maps


def _tsne_of(rows: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    reduced = _reduced(rows, seed)
    if reduced is None:
        return np.zeros((len(rows), 2), dtype=np.float32)
    placed = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return (placed - placed.mean(axis=0)).astype(np.float32)


def _umap_of(rows: np.ndarray, neighbours: int, seed: int) -> np.ndarray:
    import torch
    from umap import UMAP

    reduced = _reduced(rows, seed)
    if reduced is None:
        return np.zeros((len(rows), 2), dtype=np.float32)
    # With a seed it works in one thread, and says so unless it is told. What compiles it sets the
    # number of threads of everybody in the process, torch's too.
    threads = torch.get_num_threads()
    try:
        mapper = UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
        placed = mapper.fit_transform(reduced)
    finally:
        torch.set_num_threads(threads)
    return (placed - placed.mean(axis=0)).astype(np.float32)


def _reduced(rows: np.ndarray, seed: int) -> np.ndarray | None:
    """Principal components of ``(N, d)``, two at least; None where nothing is to be spread out."""
    from sklearn.decomposition import PCA

    if np.ptp(rows, axis=0).max() < 1e-9:
        return None  # scikit-learn would divide by a zero deviation
    dimensions = min(PCA_DIMENSIONS, *rows.shape)
    reduced = PCA(dimensions, random_state=seed).fit_transform(rows)
    # The starting position needs two.
    return np.pad(reduced, ((0, 0), (0, max(0, 2 - dimensions))))


def _turned_onto(first: np.ndarray, placed: np.ndarray) -> np.ndarray:
    from scipy.linalg import orthogonal_procrustes

    turn, _ = orthogonal_procrustes(placed, first)
    return (placed @ turn).astype(np.float32)
