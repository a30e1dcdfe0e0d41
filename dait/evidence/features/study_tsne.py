"""The t-SNE maps of a study: computed once, kept in ``tsne.npz``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dait.errors import UserError
from dait.evaluation.records import (
    INTERMEDIATE,
    SeedRecord,
    StudyRecord,
    read_seed,
    read_study,
)
from dait.events import Emit, Note, ignore
from dait.evidence.features.embeddings import MIN_TSNE_IMAGES, stratified_sample, tsne, umap
from dait.evidence.features.tsne_cache import KeptMaps, packed
from dait.runs.files import read_arrays
from dait.runs.folder import StudyFolder
from dait.storage.files import write_atomically

TSNE_IMAGES = 500
PERPLEXITY, NEIGHBOURS = 30.0, 15
FILE, UMAP_FILE = "tsne.npz", "umap.npz"

MADE_OF = "made_of"
"""The array that names a digest of the features that each map was made of, as JSON."""

Features = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Tsne:
    """Test images placed by t-SNE, the same images for every network.

    indices: ``(n,)`` into the test split; labels: ``(n,)``; coordinates: ``(n, 2)`` float32 by
    member key.
    """

    indices: np.ndarray
    labels: np.ndarray
    coordinates: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Kept:
    """A file of maps: ``(n, 2)`` by network, and digests of their features, where it has them."""

    indices: np.ndarray
    maps: Mapping[str, np.ndarray]
    digests: Mapping[str, str]


def write_tsne(
    study: StudyFolder, emit: Emit = ignore, perplexity: float = PERPLEXITY, seed: int = 0
) -> bool:
    """Place up to 500 test images for every network of every seed, into ``tsne.npz``.

    The study need not say yet that it is finished, but its runs must have their results. Maps of
    the very same features, perplexity and seed are not computed twice: they are kept in the cache
    folder. True where they were computed now. Raises ``UserError`` for a damaged study or a full
    disk. Fewer than 5 test images cannot be placed: then nothing is written, and a note says so.
    """
    return _write(study, FILE, ("tsne", perplexity, seed), _by_tsne(perplexity, seed, emit), emit)


def write_umap(
    study: StudyFolder, emit: Emit = ignore, neighbours: int = NEIGHBOURS, seed: int = 0
) -> bool:
    """As ``write_tsne``, by UMAP, into ``umap.npz``. Raises ``UserError`` without umap-learn."""

    def compute(features: Features) -> dict[str, np.ndarray]:
        return umap(features, neighbours, seed, emit)

    return _write(study, UMAP_FILE, ("umap", neighbours, seed), compute, emit)


def _by_tsne(perplexity: float, seed: int, emit: Emit) -> Callable[[Features], Any]:
    return lambda features: tsne(features, perplexity, seed, emit)


def _write(
    study: StudyFolder,
    file: str,
    settings: tuple[Any, ...],
    compute: Callable[[Features], dict[str, np.ndarray]],
    emit: Emit,
) -> bool:
    record = read_study(study)
    features: dict[str, np.ndarray] = {}
    # Of an exported study one seed's predictions are there.
    for seed in record.open_seeds or record.seeds:
        here = read_seed(record, seed)
        features.update({_name(record, seed, key): rows for key, rows in here.features.items()})
    labels = here.labels
    if len(labels) < MIN_TSNE_IMAGES:
        emit(Note(f"No t-SNE map: it needs {MIN_TSNE_IMAGES} test images, found {len(labels)}."))
        return False
    indices = stratified_sample(labels, TSNE_IMAGES)
    shown = {name: rows[indices] for name, rows in features.items()}
    kept = KeptMaps(settings, shown)
    maps = kept.read()
    new = maps is None
    if maps is None:
        maps = compute(shown)
        kept.write(maps)
    digests = {name: _digest(rows) for name, rows in shown.items()}
    write_atomically(study.path / file, _file(indices, maps, digests))
    return new


def place(study: StudyRecord, seed: SeedRecord) -> Tsne:
    """The maps of one seed: from ``tsne.npz``, or computed (seconds a network) and added to it.

    A folder that cannot be written keeps what it has. Raises ``UserError`` with fewer than 5 test
    images.
    """
    path = study.folder.path / FILE
    names = _names(study, seed)
    indices = stratified_sample(seed.labels, TSNE_IMAGES)
    kept = _read(path, len(seed.labels))
    if kept is None or not _hold(kept, names, seed):
        shown = {names[key]: rows[indices] for key, rows in seed.features.items()}
        maps, digests = tsne(shown), {name: _digest(rows) for name, rows in shown.items()}
        if kept is not None and np.array_equal(kept.indices, indices):
            maps, digests = {**kept.maps, **maps}, {**kept.digests, **digests}
        kept = _Kept(indices, maps, digests)
        # The file is only a saving of time: shipped studies lie where nothing can be written.
        with suppress(UserError):
            write_atomically(path, _file(indices, maps, digests))
    indices = kept.indices
    coordinates = {key: kept.maps[name] for key, name in names.items()}
    return Tsne(indices, seed.labels[indices], coordinates)


def is_placed(study: StudyRecord, seed: SeedRecord) -> bool:
    """Whether ``place`` finds the maps of this seed in ``tsne.npz`` and computes none."""
    kept = _read(study.folder.path / FILE, len(seed.labels))
    return kept is not None and _hold(kept, _names(study, seed), seed)


def _hold(kept: _Kept, names: Mapping[str, str], seed: SeedRecord) -> bool:
    """Whether there is a map of every network, made of the very features that it has."""
    return all(
        name in kept.maps
        # Files of older versions do not say what their maps were made of.
        and kept.digests.get(name) in (None, _digest(seed.features[key][kept.indices]))
        for key, name in names.items()
    )


def _digest(rows: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows, dtype=np.float32).tobytes()).hexdigest()[:16]


def _file(indices: np.ndarray, maps: Mapping[str, np.ndarray], digests: Mapping[str, str]) -> bytes:
    return packed(indices=indices, **maps, **{MADE_OF: np.array(json.dumps(digests))})


def _names(study: StudyRecord, seed: SeedRecord) -> dict[str, str]:
    return {member.key: _name(study, seed.seed, member.key) for member in seed.members}


def _name(study: StudyRecord, seed: int, key: str) -> str:
    """The map's name in the file: as in the row, but each seed has an intermediate of its own."""
    return f"{key}-s{seed}" if key == INTERMEDIATE and seed != study.seeds[0] else key


def _read(path: Path, images: int) -> _Kept | None:
    """What the file holds; None where it is missing, damaged or of another test split."""
    try:
        arrays = read_arrays(path, ("indices",))
    except UserError:
        return None  # it is computed anew and replaced
    indices = arrays["indices"]
    fits = indices.ndim == 1 and indices.dtype.kind == "i" and len(indices)
    if not fits or indices.min() < 0 or indices.max() >= images:
        return None
    right = (len(indices), 2)
    maps = {k: a for k, a in arrays.items() if k != "indices" and a.shape == right}
    try:
        digests = dict(json.loads(str(arrays.get(MADE_OF, "{}"))))
    except ValueError:
        return None
    return _Kept(indices, maps, digests)
