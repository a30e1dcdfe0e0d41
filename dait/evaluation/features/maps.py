"""Maps of features: ``tsne.npz`` and ``umap.npz`` of a study, and maps in the cache folder.

Imports nothing heavy; ``dait.evaluation.features.projection`` computes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dait.errors import UserError
from dait.evaluation.records import INTERMEDIATE, SeedRecord, StudyRecord
from dait.runs.files import read_arrays
from dait.storage.cache import cache_dir, load_or_build
from dait.storage.files import write_arrays

TSNE_FILE, UMAP_FILE = "tsne.npz", "umap.npz"

CACHE_FOLDER = "maps"
CACHE_VERSION = 1
"""Raised when the same settings make another map."""

MADE_OF = "made_of"
"""The array that names a digest of the features that each map was made of, as JSON."""


@dataclass(frozen=True)
class StudyMaps:
    """Test images placed on a plane, for the networks of every seed of a study.

    indices: ``(n,)`` into the test split; maps: ``(n, 2)`` float32 by network; digests: of the
    features that a map was made of, by network, none in files of older versions.
    """

    indices: np.ndarray
    maps: Mapping[str, np.ndarray]
    digests: Mapping[str, str]

    def hold(self, study: StudyRecord, seed: SeedRecord) -> bool:
        """Whether there is a map of every network of a seed, made of the features it has now."""
        return all(
            name in self.maps
            # Files of older versions do not say what their maps were made of.
            and self.digests.get(name) in (None, digest(seed.features[key][self.indices]))
            for key, name in map_names(study, seed).items()
        )

    def write(self, path: Path) -> None:
        """Write the file. Raises ``UserError`` where that is not possible."""
        made_of = {MADE_OF: np.array(json.dumps(dict(self.digests)))}
        write_arrays(path, {"indices": self.indices, **self.maps, **made_of})


@dataclass(frozen=True)
class Tsne:
    """Test images placed by t-SNE, the same images for every network.

    indices: ``(n,)`` into the test split; labels: ``(n,)``; coordinates: ``(n, 2)`` float32 by
    member key.
    """

    indices: np.ndarray
    labels: np.ndarray
    coordinates: Mapping[str, np.ndarray]


def read_maps(path: Path, images: int) -> StudyMaps | None:
    """The maps in a file; None where it is missing, damaged or of another test split.

    images: of the test split.
    """
    try:
        arrays = read_arrays(path, ("indices",))
    except UserError:
        return None  # it is computed again and replaced
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
    return StudyMaps(indices, maps, digests)


def map_names(study: StudyRecord, seed: SeedRecord) -> dict[str, str]:
    """The names of a seed's maps in the file, by member key."""
    return {member.key: map_name(study, seed.seed, member.key) for member in seed.members}


def map_name(study: StudyRecord, seed: int, key: str) -> str:
    """The member's key; each seed has an intermediate teacher of its own, named with the seed."""
    return f"{key}-s{seed}" if key == INTERMEDIATE and seed != study.seeds[0] else key


def digest(rows: np.ndarray) -> str:
    """Of features, as files of maps store it."""
    return hashlib.sha256(np.ascontiguousarray(rows, dtype=np.float32).tobytes()).hexdigest()[:16]


def is_placed(study: StudyRecord, seed: SeedRecord) -> bool:
    """Whether the t-SNE maps of a seed are in ``tsne.npz`` and need not be computed."""
    maps = read_maps(study.folder.path / TSNE_FILE, len(seed.labels))
    return maps is not None and maps.hold(study, seed)


def load_or_compute(
    settings: tuple[Any, ...],
    features: Mapping[str, np.ndarray],
    compute: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
) -> tuple[dict[str, np.ndarray], bool]:
    """``compute(features)``, ``(N, 2)`` by network, and whether it was computed now.

    features: ``(N, d)`` by network. settings: what else the maps depend on. The key includes the
    features themselves, and so the weights and images that they come from: they are a few
    megabytes, hashed in milliseconds. Where the cache cannot be written, nothing is kept.
    """
    described = [CACHE_VERSION, version("scikit-learn"), *settings, list(features)]
    key = hashlib.sha256(json.dumps(described).encode())
    for rows in features.values():
        key.update(json.dumps([str(rows.dtype), rows.shape]).encode())
        key.update(np.ascontiguousarray(rows).tobytes())
    computed: dict[str, np.ndarray] = {}

    def build() -> dict[str, np.ndarray]:
        computed.update(compute(features))
        return computed

    try:
        maps = load_or_build(cache_dir() / CACHE_FOLDER, key.hexdigest()[:32], build)
    except (UserError, OSError):
        maps = computed or build()
    return maps, bool(computed)
