"""Arrays that are costly to make, kept on disk: made once, memory-mapped ever after.

An entry is a folder named by its key, with one ``.npy`` file per array and a ``manifest.json``. It
is written beside its place under a temporary name and renamed into it, so an entry is whole or not
there. Keys name everything that their arrays depend on: an entry is never updated. Deleting the
cache folder is always safe; it is only ever a saving of time.

``load_or_build`` keeps arrays that fit into memory; ``storage.stream`` fills an entry row by row.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dait.errors import UserError
from dait.storage.paths import CACHE, chosen_folder

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_MANIFEST = "manifest.json"
_FORMAT = 1  # of entries; a manifest that is silent means 1, and newer ones say "format"
_MARK = ".building"  # of a temporary folder: <mark>-<host>-<pid>-<random>
STALE_AFTER = 2 * 24 * 3600  # seconds; for folders whose builder cannot be asked whether it lives
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


def load_or_build(
    cache_dir: Path, key: str, build: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays kept under ``key``, from ``build()`` the first time; read-only, memory-mapped.

    Two processes that race both build, the first to finish is kept, and both get its arrays. A
    build that is killed leaves a temporary folder that nobody reads and a later call removes.
    Raises ``ValueError`` for a key that is no plain file name, and ``UserError`` where the disk is
    full; whatever ``build`` raises passes through and leaves nothing behind.
    """
    entry = entry_path(cache_dir, key)
    kept = load_entry(entry)
    if kept is not None:
        return kept
    entry.parent.mkdir(parents=True, exist_ok=True)
    sweep(entry.parent)
    built = build()
    for _ in range(3):  # a damaged entry in the way is taken away once, a racing one is used
        _write(entry, built)
        kept = load_entry(entry)
        if kept is not None:
            return kept
    raise not_kept(entry.parent)


def entry_path(cache_dir: Path, key: str) -> Path:
    """Where ``key`` is kept; raises ``ValueError`` for a key that is no plain file name."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"a cache key is letters, digits, dot, dash and underscore, not {key!r}")
    return Path(cache_dir) / key


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
    """The arrays of a whole entry; None where there is none. A damaged one is removed first.

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


def _write(entry: Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = temporary_folder(entry.parent)
    try:
        temporary.mkdir()
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        place_entry(temporary, entry)
    except OSError as error:
        if is_full(error):
            size = sum(array.nbytes for array in arrays.values())
            raise no_room(entry.parent, size) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_folder(folder: Path) -> Path:
    """A name for a folder of this process's own in the cache ``folder``; ``sweep`` knows it."""
    return folder / f"{_MARK}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}"


def place_entry(temporary: Path, entry: Path) -> None:
    """Makes a folder of ``.npy`` files an entry, unless another process has done so meanwhile."""
    manifest = {file.stem: file.stat().st_size for file in temporary.glob("*.npy")}
    (temporary / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    try:
        temporary.rename(entry)
    except OSError:
        if not entry.is_dir():  # otherwise another process was first, and its entry is as good
            raise


def is_full(error: OSError) -> bool:
    """Whether what failed is that the disk, or this user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def no_room(folder: Path, size: int) -> UserError:
    """The sentence for a disk that has no room for ``size`` bytes."""
    return UserError(
        f"There is no room for {size / 2**20:.0f} MiB in the cache folder ‘{folder}’. "
        "Free some, or set DAIT_CACHE to a folder on another disk."
    )


def not_kept(folder: Path) -> UserError:
    """The sentence for an entry that is gone as soon as it is written."""
    return UserError(
        f"The cache folder ‘{folder}’ does not keep what is written to it. "
        "Set DAIT_CACHE to another folder."
    )


def sweep(folder: Path) -> None:
    """Removes temporary folders whose builder is gone."""
    for temporary in folder.glob(f"{_MARK}-*-*-*"):
        host, pid = temporary.name[len(_MARK) + 1 :].rsplit("-", 2)[:2]
        if host == _host() and pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(temporary, ignore_errors=True)
            continue
        try:
            age = time.time() - temporary.stat().st_mtime
        except FileNotFoundError:  # its builder has just finished
            continue
        if age > STALE_AFTER:
            shutil.rmtree(temporary, ignore_errors=True)


def _lives(pid: int) -> bool:
    if os.name == "nt":  # signal 0 is no question there; age decides
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", ".", socket.gethostname()) or "host"
