"""The cache: folders and arrays that are costly to make, made once and used ever after.

An entry is a folder that is filled under a temporary name and then renamed, so it is complete or
not there. One process fills it while others wait. The names of entries include everything that
their contents depend on, so an entry is never updated. Deleting the cache is always safe.

``load_or_fill`` keeps any folder. ``load_or_build`` keeps arrays that fit into memory, as ``.npy``
files that are memory-mapped and a ``manifest.json`` with their sizes; ``storage.rows`` writes such
an entry row by row.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from dait.errors import UserError, is_full
from dait.events import Emit, Note, ignore
from dait.storage.files import new_folder, sweep
from dait.storage.lock import locked
from dait.storage.paths import CACHE, chosen_folder

Loaded = TypeVar("Loaded")

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_MANIFEST = "manifest.json"
_FORMAT = 1  # of array entries; a manifest without "format" has 1
_SMALL = 1 << 20  # bytes; smaller arrays are read, not mapped (an empty one cannot be mapped)


def cache_dir() -> Path:
    """The cache folder, made if need be: ``$DAIT_CACHE``, or ``~/.cache/dait-studio``.

    Where the home folder cannot be written, a folder of this user under the system's temporary
    folder. Raises ``UserError`` where ``DAIT_CACHE`` is set to a folder that cannot be written:
    who chose a place wants to know that it is not used.
    """
    folder = chosen_folder(CACHE)
    if folder is not None:
        if not _writable(folder):
            raise UserError(
                f"The cache folder ‘{folder}’ (from DAIT_CACHE) cannot be written. Set DAIT_CACHE "
                "to a folder that can, or unset it to use the default."
            )
        return folder
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    shared = Path(tempfile.gettempdir()) / f"dait-studio-{user}"
    for candidate in (_default_folder(), shared):
        if candidate is not None and _writable(candidate):
            return candidate
    raise UserError(
        "No folder for the cache can be written: neither the home folder nor the temporary "
        "folder. Set DAIT_CACHE to a folder that can."
    )


def load_or_fill(
    folder: Path,
    load: Callable[[Path], Loaded | None],
    fill: Callable[[Path], object],
    emit: Emit = ignore,
) -> Loaded:
    """``load(folder)``, once ``fill`` has written the folder's contents if that returns None.

    fill: gets an empty folder under a temporary name; whatever it raises passes through, and
        nothing is left.
    emit: hears a ``Note`` when another process is filling the folder and is waited for.

    Raises ``UserError`` where the disk does not keep what is written, and ``OSError``.
    """
    found = load(folder)
    if found is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    text = f"Waiting for another process that writes {folder.name} to the cache."
    with locked(folder.with_name(f".{folder.name}.lock"), note_once(emit, text)):
        found = load(folder)  # filled by the process that held the lock before
        if found is None:
            try:
                with new_folder(folder) as temporary:
                    fill(temporary)
            except OSError:
                # Where the disk has no locks, another process may have been first.
                found = load(folder)
                if found is None:
                    raise
            else:
                found = load(folder)
    if found is None:
        raise not_kept(folder.parent)
    return found


def load_or_build(
    folder: Path, key: str, build: Callable[[], dict[str, np.ndarray]], emit: Emit = ignore
) -> dict[str, np.ndarray]:
    """The arrays kept under ``key``, from ``build()`` the first time; read-only, memory-mapped.

    emit: as in ``load_or_fill``.
    Raises ``ValueError`` for a key that is no plain file name, and ``UserError`` where the disk is
    full; whatever ``build`` raises passes through and leaves nothing behind.
    """
    size = 0

    def fill(temporary: Path) -> None:
        nonlocal size
        arrays = build()
        size = sum(array.nbytes for array in arrays.values())
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        write_manifest(temporary)

    entry = entry_path(folder, key)
    with explaining_full_disk(folder, lambda: size):
        return load_or_fill(entry, load_entry, fill, emit)


def existing_folder(folder: Path) -> Path | None:
    """The folder, or None where there is none: ``load`` of a folder that is used as it is."""
    return folder if folder.is_dir() else None


def note_once(emit: Emit, text: str) -> Callable[[], None]:
    """A function that emits a ``Note`` the first time it is called."""
    return functools.cache(lambda: emit(Note(text)))


def entry_path(folder: Path, key: str) -> Path:
    """Where ``key`` is kept; raises ``ValueError`` for a key that is no plain file name."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"a cache key is letters, digits, dot, dash and underscore, not {key!r}")
    return Path(folder) / key


def _default_folder() -> Path | None:
    try:
        return Path.home() / ".cache" / "dait-studio"
    except RuntimeError:  # no HOME and no entry for this user, as in some containers
        return None


def _writable(folder: Path) -> bool:
    """Whether a file can be made there; asking the permissions would believe a read-only disk."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def load_entry(entry: Path) -> dict[str, np.ndarray] | None:
    """The arrays of an entry; None where there is none. A damaged one is removed first.

    Raises ``UserError`` for an entry that another version of the project wrote.
    """
    if not entry.is_dir():
        return None
    try:
        manifest: dict[str, int] = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        version = manifest.pop("format", _FORMAT)
        if version != _FORMAT:
            raise UserError(
                f"The cache entry ‘{entry}’ was written in version {version} of its format; this "
                f"program reads version {_FORMAT}. Set DAIT_CACHE to another folder, or use the "
                "version of the project that wrote it. (The cache may be deleted at any time.)"
            )
        arrays = {}
        for name, size in manifest.items():
            file = entry / f"{name}.npy"
            if file.stat().st_size != size:
                raise ValueError(f"{file} has been cut")
            small = size < _SMALL
            arrays[name] = np.load(file, mmap_mode=None if small else "r", allow_pickle=False)
            arrays[name].flags.writeable = False
        return arrays
    except (FileNotFoundError, ValueError):  # a crash of the machine, or a hand in the folder
        shutil.rmtree(entry, ignore_errors=True)
        return None


def write_manifest(folder: Path) -> None:
    """Record the sizes of the ``.npy`` files in a folder, which makes it an entry."""
    sizes = {file.stem: file.stat().st_size for file in folder.glob("*.npy")}
    (folder / _MANIFEST).write_text(json.dumps(sizes), encoding="utf-8")


@contextmanager
def explaining_full_disk(folder: Path, size: Callable[[], int]) -> Iterator[None]:
    """Turn the error of a full disk into a ``UserError``; ``size()`` is the bytes to write."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise no_room(folder, size()) from error
        raise


def no_room(folder: Path, size: int) -> UserError:
    """The error for a disk that has no room for ``size`` bytes."""
    return UserError(
        f"There is no room for {size / 2**20:.0f} MiB in the cache folder ‘{folder}’. "
        "Free some, or set DAIT_CACHE to a folder on another disk."
    )


def not_kept(folder: Path) -> UserError:
    """The error for an entry that is gone as soon as it is written."""
    return UserError(
        f"The cache folder ‘{folder}’ does not keep what is written to it. "
        "Set DAIT_CACHE to another folder."
    )
