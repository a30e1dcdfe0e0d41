"""Two-dimensional maps of features, kept in the cache by everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from dait.errors import UserError
from dait.storage.cache import cache_dir, load_or_build

FOLDER = "maps"
VERSION = 1
"""Raised when the same settings make another map."""


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
    described = [VERSION, version("scikit-learn"), *settings, list(features)]
    digest = hashlib.sha256(json.dumps(described).encode())
    for rows in features.values():
        digest.update(json.dumps([str(rows.dtype), rows.shape]).encode())
        digest.update(np.ascontiguousarray(rows).tobytes())
    computed: dict[str, np.ndarray] = {}

    def build() -> dict[str, np.ndarray]:
        computed.update(compute(features))
        return computed

    try:
        maps = load_or_build(cache_dir() / FOLDER, digest.hexdigest()[:32], build)
    except (UserError, OSError):
        maps = computed or build()
    return maps, bool(computed)
