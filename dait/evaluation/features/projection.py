"""Maps of features by t-SNE and UMAP, and the silhouette: what needs scikit-learn and SciPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from dait.errors import UserError
from dait.evaluation.features.maps import (
    TSNE_FILE,
    UMAP_FILE,
    StudyMaps,
    Tsne,
    digest,
    load_or_compute,
    map_name,
    map_names,
    read_maps,
)
from dait.evaluation.features.similarity import stratified_sample, unit_length
from dait.evaluation.records import SeedRecord, StudyRecord, read_seed, read_study
from dait.events import Emit, Note, Progress, ignore
from dait.runs.folder import StudyFolder

TSNE_IMAGES = 500
PERPLEXITY, NEIGHBOURS = 30.0, 15
PCA_DIMENSIONS = 50
MIN_TSNE_IMAGES = 5

Features = Mapping[str, np.ndarray]


def write_tsne(
    study: StudyFolder, emit: Emit = ignore, perplexity: float = PERPLEXITY, seed: int = 0
) -> bool:
    """Place up to 500 test images for every network of every seed, into ``tsne.npz``.

    The study need not say yet that it is finished, but its runs must have their results. Maps of
    the same features, perplexity and seed are not computed twice: they are kept in the cache
    folder. Returns True where they were computed now. Raises ``UserError`` for a damaged study or a
    full disk. With fewer than 5 test images nothing is written, and a note says so.
    """

    def compute(features: Features) -> dict[str, np.ndarray]:
        return tsne(features, perplexity, seed, emit)

    return _write(study, TSNE_FILE, ("tsne", perplexity, seed), compute, emit)


def write_umap(
    study: StudyFolder, emit: Emit = ignore, neighbours: int = NEIGHBOURS, seed: int = 0
) -> bool:
    """As ``write_tsne``, by UMAP, into ``umap.npz``. Raises ``UserError`` without umap-learn."""

    def compute(features: Features) -> dict[str, np.ndarray]:
        return umap(features, neighbours, seed, emit)

    return _write(study, UMAP_FILE, ("umap", neighbours, seed), compute, emit)


def _write(
    study: StudyFolder,
    file: str,
    settings: tuple[Any, ...],
    compute: Callable[[Features], dict[str, np.ndarray]],
    emit: Emit,
) -> bool:
    record = read_study(study)
    features: dict[str, np.ndarray] = {}
    # An exported study has the features of one seed.
    for seed in record.open_seeds or record.seeds:
        here = read_seed(record, seed)
        features.update({map_name(record, seed, key): rows for key, rows in here.features.items()})
    labels = here.labels
    if len(labels) < MIN_TSNE_IMAGES:
        emit(Note(f"No t-SNE map: it needs {MIN_TSNE_IMAGES} test images, found {len(labels)}."))
        return False
    indices = stratified_sample(labels, TSNE_IMAGES)
    shown = {name: rows[indices] for name, rows in features.items()}
    maps, new = load_or_compute(settings, shown, compute)
    digests = {name: digest(rows) for name, rows in shown.items()}
    StudyMaps(indices, maps, digests).write(study.path / file)
    return new


def place(study: StudyRecord, seed: SeedRecord) -> Tsne:
    """The maps of one seed: from ``tsne.npz``, or computed (seconds a network) and added to it.

    A folder that cannot be written keeps what it has. Raises ``UserError`` with fewer than 5 test
    images.
    """
    path = study.folder.path / TSNE_FILE
    names = map_names(study, seed)
    indices = stratified_sample(seed.labels, TSNE_IMAGES)
    kept = read_maps(path, len(seed.labels))
    if kept is None or not kept.hold(study, seed):
        shown = {names[key]: rows[indices] for key, rows in seed.features.items()}
        maps, digests = tsne(shown), {name: digest(rows) for name, rows in shown.items()}
        if kept is not None and np.array_equal(kept.indices, indices):
            maps, digests = {**kept.maps, **maps}, {**kept.digests, **digests}
        kept = StudyMaps(indices, maps, digests)
        # The file is only a saving of time: shipped studies lie where nothing can be written.
        with suppress(UserError):
            kept.write(path)
    indices = kept.indices
    coordinates = {key: kept.maps[name] for key, name in names.items()}
    return Tsne(indices, seed.labels[indices], coordinates)


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
    changes no distance. An arm whose features are all alike lies on one point. ``emit`` is notified
    of every map that is done.
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


def silhouette(features: np.ndarray, labels: np.ndarray) -> float:
    """The mean silhouette by cosine distance, −1 to 1; NaN where it is not defined.

    It needs between 2 and N − 1 classes among the N images.
    """
    if not 2 <= len(np.unique(labels)) <= len(labels) - 1:
        return float("nan")
    return float(silhouette_score(unit_length(features), labels, metric="cosine"))


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
        placed = place(unit_length(rows))
        first = next(iter(maps.values()), None)
        maps[arm] = placed if first is None else _turned_onto(first, placed)
        emit(Progress(f"Placing test images by {by}", len(maps), len(features), "networks"))
    return maps


def _tsne_of(rows: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    reduced = _reduced(rows, seed)
    if reduced is None:
        return np.zeros((len(rows), 2), dtype=np.float32)
    placed = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return (placed - placed.mean(axis=0)).astype(np.float32)


def _umap_of(rows: np.ndarray, neighbours: int, seed: int) -> np.ndarray:
    from umap import UMAP  # an optional package

    reduced = _reduced(rows, seed)
    if reduced is None:
        return np.zeros((len(rows), 2), dtype=np.float32)
    # With a seed UMAP works in one thread, and warns unless that is asked for. Its compiler sets
    # the number of threads of the whole process, PyTorch's too.
    threads = torch.get_num_threads()
    try:
        mapper = UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
        placed = mapper.fit_transform(reduced)
    finally:
        torch.set_num_threads(threads)
    return (placed - placed.mean(axis=0)).astype(np.float32)


def _reduced(rows: np.ndarray, seed: int) -> np.ndarray | None:
    """Principal components of ``(N, d)``, two at least; None where all rows are alike."""
    if np.ptp(rows, axis=0).max() < 1e-9:
        return None  # scikit-learn would divide by a zero deviation
    dimensions = min(PCA_DIMENSIONS, *rows.shape)
    reduced = PCA(dimensions, random_state=seed).fit_transform(rows)
    # The starting position needs two.
    return np.pad(reduced, ((0, 0), (0, max(0, 2 - dimensions))))


def _turned_onto(first: np.ndarray, placed: np.ndarray) -> np.ndarray:
    turn, _ = orthogonal_procrustes(placed, first)
    return (placed @ turn).astype(np.float32)
