"""List and prune the cache of embeddings."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dait.errors import UserError
from dait.storage.cache import cache_dir
from dait.storage.files import temporary_name
from dait.teachers.cache.view_set import FOLDER, last_used, read_manifest, shard_files


@dataclass(frozen=True)
class CacheEntry:
    """A view set on disk.

    key: its folder's name. views: how many have a shard at least, ``complete`` how many have all.
    bytes: of all its files. last_used: seconds since 1970. facts: its manifest, empty where that
    cannot be read.
    """

    key: str
    folder: Path
    data: str
    teacher: str
    transform: str
    seed: int
    images: int
    dim: int
    views: int
    complete: int
    bytes: int
    last_used: float
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Plain values, the manifest aside."""
        return {k: str(v) if k == "folder" else v for k, v in vars(self).items() if k != "facts"}


def default_root() -> Path:
    """The folder of all view sets."""
    return cache_dir() / FOLDER


def entries(root: Path) -> list[CacheEntry]:
    """Every view set below ``root``, the most recently used first."""
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if path.is_dir() and path.name[:1] != "."]
    found = [entry for folder in folders if (entry := _entry(folder)) is not None]
    return sorted(found, key=lambda entry: -entry.last_used)


def chosen(found: Sequence[CacheEntry], keys: Iterable[str]) -> list[CacheEntry]:
    """The entries whose keys begin with ``keys``, one each; raises ``UserError`` otherwise."""
    result: list[CacheEntry] = []
    for key in keys:
        fitting = [entry for entry in found if entry.key.startswith(key)]
        if len(fitting) != 1:
            known = ", ".join(entry.key[:8] for entry in found) or "none"
            how = "No" if not fitting else "More than one"
            raise UserError(f"{how} kept set of embeddings begins with ‘{key}’. Known: {known}.")
        result += [entry for entry in fitting if entry not in result]
    return result


def to_prune(
    found: Sequence[CacheEntry],
    *,
    among: Sequence[CacheEntry] | None = None,
    older_than_days: float | None = None,
    data: str | None = None,
    teacher: str | None = None,
    most_bytes: int | None = None,
    now: float | None = None,
) -> list[CacheEntry]:
    """The entries to remove: those of ``among`` that match age, data and teacher.

    data: a part of the data set's name. most_bytes: of those, only the least recently used, as
    many as bring the size of all entries below this.
    """
    now = time.time() if now is None else now
    fitting = [
        entry
        for entry in (found if among is None else among)
        if (older_than_days is None or now - entry.last_used > older_than_days * 86_400)
        and (data is None or data.lower() in entry.data.lower())
        and (teacher is None or teacher.lower() in entry.teacher.lower())
    ]
    if most_bytes is None:
        return fitting
    total, result = sum(entry.bytes for entry in found), list[CacheEntry]()
    for entry in sorted(fitting, key=lambda entry: entry.last_used):
        if total <= most_bytes:
            break
        result.append(entry)
        total -= entry.bytes
    return result


def remove(entry: CacheEntry) -> None:
    """Delete a set. Processes that have it mapped keep their data; one that builds it starts again.

    Raises ``UserError`` where it cannot be deleted.
    """
    aside = temporary_name(entry.folder)
    try:
        entry.folder.rename(aside)  # at once, so that no process reads half of it
        shutil.rmtree(aside)
    except FileNotFoundError:  # another process is pruning too
        return
    except OSError as error:
        raise UserError(
            f"‘{entry.folder}’ cannot be removed ({error.strerror}). Delete the folder by hand."
        ) from error


def _entry(folder: Path) -> CacheEntry | None:
    facts = read_manifest(folder) or {}
    starts: dict[int, int] = {}
    try:
        for view, _, _ in shard_files(folder):
            starts[view] = starts.get(view, 0) + 1
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        used = last_used(folder)
    except FileNotFoundError:  # pruned, or a temporary name that is gone by now
        return _entry(folder) if folder.is_dir() else None
    whole = int(facts.get("shards_per_view", 0))
    return CacheEntry(
        key=folder.name,
        folder=folder,
        data=str(facts.get("data", "unknown")),
        teacher=str(facts.get("teacher", "unknown")),
        transform=str(facts.get("transform", "unknown")),
        seed=int(facts.get("seed", 0)),
        images=int(facts.get("images", 0)),
        dim=int(facts.get("dim", 0)),
        views=len(starts),
        complete=sum(count == whole for count in starts.values()),
        bytes=size,
        last_used=used,
        facts=facts,
    )
