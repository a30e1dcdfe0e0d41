"""Maps of features that were computed before, in the cache folder, by all that they depend on."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np

from dait.errors import UserError
from dait.runs.files import read_arrays
from dait.storage.arrays import cache_dir
from dait.storage.files import write_atomically

FOLDER = "maps"
VERSION = 1
"""Raised when the same settings make another map."""


class KeptMaps:
    """Where maps are kept that ``settings`` make of ``features`` (``(N, d)`` by network).

    The key holds the features themselves, and so the weights and images that they come from: they
    are a few megabytes, hashed in milliseconds.
    """

    def __init__(self, settings: tuple[Any, ...], features: Mapping[str, np.ndarray]) -> None:
        described = [VERSION, version("scikit-learn"), *settings, list(features)]
        digest = hashlib.sha256(json.dumps(described).encode())
        for rows in features.values():
            digest.update(json.dumps([str(rows.dtype), rows.shape]).encode())
            digest.update(np.ascontiguousarray(rows).tobytes())
        self._names = list(features)
        self.path = cache_dir() / FOLDER / f"{digest.hexdigest()[:32]}.npz"

    def read(self) -> dict[str, np.ndarray] | None:
        """``(N, 2)`` by network; None where they are not kept, or damaged."""
        try:
            arrays = read_arrays(self.path, tuple(self._names))
        except UserError:
            return None
        return {name: arrays[name] for name in self._names}

    def write(self, maps: Mapping[str, np.ndarray]) -> None:
        """Keep them, where there is room: it is only a saving of time."""
        with suppress(UserError, OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, packed(**maps))


def packed(**arrays: np.ndarray) -> bytes:
    """The bytes of an ``.npz`` file."""
    buffer = io.BytesIO()
    plain: dict[str, Any] = arrays
    np.savez_compressed(buffer, **plain)
    return buffer.getvalue()
