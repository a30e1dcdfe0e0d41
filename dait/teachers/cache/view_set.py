"""One teacher's embeddings of the views of one split: a folder of fp16 shards and a manifest.

A shard holds consecutive images under one view, as an ``.npy`` file that is memory-mapped. It is
written under a temporary name, flushed and renamed, so it is complete or not there, and a build
that is interrupted is resumed from the shards that exist. The folder's name is a digest of
everything that the numbers depend on, so any change leads to another folder; ``manifest.json``
says the same in words. A folder may be deleted at any time: it is then computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dait.errors import UserError, is_full
from dait.storage import cache
from dait.storage.files import new_file

FOLDER = "views"
"""Of the cache folder: everything here is kept below it."""

LEAST_ROWS, MOST_SHARDS = 256, 64
"""Images in a shard at least, which is the work lost when a build is killed; shards of a view at
most, since each is an open file while it is mapped."""

_FORMAT = 2
_MANIFEST = "manifest.json"
_HEADER = 128  # bytes of an .npy file before its rows
_SHARD = re.compile(r"view-(\d{5})-from-(\d{8})\.npy")
_LIBRARIES = ("torch", "numpy", "pillow", "timm", "open_clip_torch")


@dataclass(frozen=True)
class Description:
    """Everything that the embeddings depend on, except the view.

    data, transform, teacher: their names, for readers; the fingerprints identify them. split: which
    images of the data, as ``TeacherViews`` calls them; images: how many. dim: of an embedding.
    batch: images of a forward pass. precision: of the forward pass. dtype: of the stored
    embeddings.
    """

    data: str
    data_fingerprint: str
    split: str
    images: int
    transform: str
    transform_fingerprint: str
    seed: int
    teacher: str
    weights_hash: str
    image_size: int
    dim: int
    precision: str
    batch: int
    dtype: str
    libraries: Mapping[str, str]

    @property
    def digest(self) -> str:
        """32 hexadecimal digits."""
        text = json.dumps([_FORMAT, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def view_bytes(self) -> int:
        """Bytes of one view of all images, but for the files' headers."""
        return self.images * self.dim * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Shard:
    """The images ``start`` to ``stop`` under one view."""

    view: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"view-{self.view:05d}-from-{self.start:08d}.npy"

    def __len__(self) -> int:
        return self.stop - self.start


class ViewSet:
    """The folder of one description below ``root``; nothing is made until something is written."""

    def __init__(
        self, root: Path, description: Description, origin: Mapping[str, Any] | None = None
    ) -> None:
        """origin: how the data and the teacher were opened, so that they can be opened again."""
        self.description, self.origin = description, dict(origin or {})
        self.folder = Path(root) / description.digest
        batch, images = description.batch, description.images
        rows = max(LEAST_ROWS, -(-images // MOST_SHARDS))
        self.shard_rows = (
            -(-rows // batch) * batch
        )  # whole batches, so that the result does not depend on who computes a shard

    def shards(self, view: int) -> list[Shard]:
        """All shards of a view, whether they exist or not."""
        count, rows = self.description.images, self.shard_rows
        return [Shard(view, low, min(low + rows, count)) for low in range(0, count, rows)]

    def has(self, shard: Shard) -> bool:
        """Whether the file exists and has the right length."""
        try:
            return self.path(shard).stat().st_size == _HEADER + self.bytes_of(shard)
        except FileNotFoundError:
            return False

    def path(self, shard: Shard) -> Path:
        return self.folder / shard.name

    def bytes_of(self, shard: Shard) -> int:
        """Bytes of a shard without the file's header."""
        return len(shard) * self.description.dim * np.dtype(self.description.dtype).itemsize

    def read(self, shard: Shard) -> np.ndarray | None:
        """``(n, d)`` memory-mapped; None where there is none. A damaged file is removed."""
        rows = self._mapped(shard)
        if rows is None:
            self.path(shard).unlink(missing_ok=True)
        return rows

    def is_whole(self, shard: Shard) -> bool:
        """Whether it can be read; a damaged file is left as it is."""
        return self._mapped(shard) is not None

    def write(self, shard: Shard, rows: np.ndarray) -> None:
        """Store ``(n, d)`` of any float type. Raises ``UserError`` where the disk is full."""
        wanted = (len(shard), self.description.dim)
        if rows.shape != wanted:
            raise ValueError(f"{shard} holds {wanted}, not {rows.shape}")
        try:
            self._write_manifest()
            with new_file(self.path(shard)) as file:
                np.save(file, rows.astype(self.description.dtype), allow_pickle=False)
        except OSError as error:
            if not is_full(error):
                raise
            raise no_room(self.folder.parent, self.bytes_of(shard)) from error

    def mark_used(self) -> None:
        """Record that the set is used now; pruning by age reads this."""
        try:
            os.utime(self.folder / _MANIFEST)
        except OSError:  # it does not exist yet, or belongs to another user
            return

    def _mapped(self, shard: Shard) -> np.ndarray | None:
        if not self.has(shard):
            return None
        try:
            rows: np.ndarray = np.load(self.path(shard), mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError):  # pruned just now, or no such file at all
            return None
        facts = self.description
        fits = rows.shape == (len(shard), facts.dim) and rows.dtype == np.dtype(facts.dtype)
        return rows if fits else None

    def _write_manifest(self) -> None:
        file = self.folder / _MANIFEST
        if file.is_file():
            return
        facts = {
            "what": "A frozen teacher's embeddings of augmented views. Safe to delete.",
            **asdict(self.description),
            "shards_per_view": len(self.shards(0)),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "origin": self.origin,
        }
        with new_file(file) as stream:
            stream.write((json.dumps(facts, indent=2) + "\n").encode())


class ViewRows:
    """The embeddings of one view: ``rows[index]`` reads only the rows that are asked for."""

    def __init__(self, shards: list[np.ndarray], shard_rows: int) -> None:
        self._shards, self._rows = shards, shard_rows

    def __len__(self) -> int:
        return sum(len(shard) for shard in self._shards)

    def __getitem__(self, index: np.ndarray) -> Tensor:
        """``(B,)`` integers → ``(B, d)`` float32 on the CPU."""
        which = index // self._rows
        found = np.empty((len(index), self._shards[0].shape[1]), np.float32)
        for number in np.unique(which).tolist():
            chosen = np.flatnonzero(which == number)
            found[chosen] = self._shards[number][index[chosen] - number * self._rows]
        return torch.from_numpy(found)


def library_versions() -> dict[str, str]:
    """Of the libraries that decode, augment and embed; one that is not installed is left out."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a set's folder; None where there is none that can be read."""
    try:
        facts = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def last_used(folder: Path) -> float:
    """Seconds since 1970."""
    try:
        return (folder / _MANIFEST).stat().st_mtime
    except OSError:
        return folder.stat().st_mtime


def shard_files(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """``(view, first image, file)`` of every shard in a folder, in order."""
    for file in sorted(folder.glob("view-*.npy")):
        match = _SHARD.fullmatch(file.name)
        if match:
            yield int(match[1]), int(match[2]), file


def no_room(folder: Path, size: int) -> UserError:
    """The error for a disk that has no room for ``size`` bytes of embeddings."""
    return UserError(
        f"{cache.no_room(folder, size)} Or remove embeddings that are no longer needed "
        "(`python -m dait cache prune`), use fewer views (views.distinct), or keep none "
        "(views.cache=false)."
    )
