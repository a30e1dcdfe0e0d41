"""The figures of every image, kept in ``localisation.npz``: nothing is looked at twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from dait.errors import UserError
from dait.runs.files import load_arrays
from dait.storage.files import set_aside, write_arrays

FILE_NAME = "localisation.npz"

Arrays = Mapping[str, np.ndarray]


class KeptFigures:
    """Arrays by network and by what they were made of, called ``<network>/<made of>/<figure>``.

    A damaged file counts as none, because everything in it can be measured again; it is set aside
    before another is written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        found = _read(self.path)
        self._damaged = found is None
        self._arrays = found or {}

    def get(self, network: str, made_of: str) -> dict[str, np.ndarray] | None:
        """The arrays by figure, or None."""
        prefix = f"{network}/{made_of}/"
        found = {
            name.removeprefix(prefix): array
            for name, array in self._arrays.items()
            if name.startswith(prefix)
        }
        return found or None

    def put(self, network: str, made_of: str, arrays: Arrays) -> None:
        """Keep arrays and write the file. Raises ``UserError`` where it cannot be written."""
        for figure, array in arrays.items():
            self._arrays[f"{network}/{made_of}/{figure}"] = array
        self._write()

    def add(self, others: Iterable[KeptFigures]) -> None:
        """Keep what ``others`` know too, and write the file. Raises as ``put`` does."""
        for other in others:
            self._arrays |= other._arrays
        self._write()

    def forget_all_but(self, made_of: Iterable[str]) -> None:
        """Drop what belongs to none of these, such as the figures of weights that are gone."""
        wanted = set(made_of)
        kept = {n: array for n, array in self._arrays.items() if n.split("/")[1] in wanted}
        if len(kept) < len(self._arrays):
            self._arrays = kept
            self._write()

    def _write(self) -> None:
        if self._damaged and self.path.exists():
            set_aside(self.path)
        self._damaged = False
        write_arrays(self.path, self._arrays)


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """None where the file is damaged."""
    try:
        arrays = load_arrays(path) or {}
    except UserError:
        return None
    return {name: array for name, array in arrays.items() if name.count("/") == 2}
