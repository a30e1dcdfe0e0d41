"""An archive of photographs as a listing: unpacked once into the cache, then read as a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from dait.data.folder import list_folder
from dait.data.layout import require_fractions
from dait.data.listing import Listing
from dait.data.names import split_of
from dait.data.store import cache_dir
from dait.data.table import is_table, list_table
from dait.data.unpack import SUFFIXES, Limits, limits_here, unpack
from dait.errors import UserError
from dait.events import Emit, Progress, ignore

_CHUNK = 1 << 20
_LITTER = ("__macosx",)
_WRAPPINGS = 3  # folders around the photographs that are looked through

_hashes: dict[
    tuple[str, int, int], str
] = {}  # by path, bytes and nanoseconds: a GiB takes a second


def list_archive(
    path: str | Path,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    emit: Emit = ignore,
    limits: Limits | None = None,
) -> Listing:
    """The photographs of a ``.zip`` or ``.tar`` (plain, gz, bz2, xz).

    It holds what a folder of photographs holds (``list_folder``), perhaps within a folder of its
    own, or photographs and one table that names them (``list_table``). It is unpacked into the
    cache under a hash of its bytes: an archive that comes again, whatever its path, is not unpacked
    again, and its listing has the same fingerprint.

    emit: hears ``Progress`` of reading and unpacking. limits: by default those of this machine.
    Raises ``UserError`` as ``unpack``, ``list_folder`` and ``list_table`` do; then nothing stays.
    """
    archive = Path(path).expanduser()
    require_fractions(val_fraction, test_fraction)
    digest = _digest(archive, emit)
    folder = _unpacked(digest)
    unpack(archive, folder, limits or limits_here(), emit)
    root = _unwrapped(folder)
    try:
        tables = [file for file in sorted(root.glob("*.csv")) if is_table(file)]
        if len(tables) == 1:
            listing = list_table(tables[0], val_fraction, test_fraction, split_seed)
            note = f"The labels are those of ‘{tables[0].name}’ in the archive."
            listing = replace(listing, notes=(note, *listing.notes))
        else:
            listing = list_folder(root, val_fraction, test_fraction, split_seed)
    except UserError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(str(error).replace(str(root), archive.name)) from error
    # Unpacked files are as old as their unpacking; the archive's hash stands for their contents.
    stamp = int(digest[:15], 16)
    splits = {
        name: tuple(replace(entry, modified=stamp) for entry in entries)
        for name, entries in listing.splits.items()
    }
    return replace(listing, name=_stem(archive), root=archive, splits=splits)


def forget_archive(path: str | Path) -> None:
    """Remove what was unpacked of an archive. Raises ``UserError`` where it cannot be read."""
    shutil.rmtree(_unpacked(_digest(Path(path), ignore)), ignore_errors=True)


def _unpacked(digest: str) -> Path:
    return cache_dir() / "archives" / digest[:32]


def _digest(archive: Path, emit: Emit) -> str:
    """Of the archive's bytes; remembered for as long as its length and time stay."""
    if archive.is_dir():
        raise UserError(f"‘{archive}’ is a folder, not an archive. Give a .zip or .tar file.")
    try:
        with archive.open("rb") as stream:
            about = os.fstat(stream.fileno())
            key = (str(archive.resolve()), about.st_size, about.st_mtime_ns)
            if key not in _hashes:
                _hashes[key] = _hash(stream, about.st_size, f"Reading {archive.name}", emit)
            return _hashes[key]
    except FileNotFoundError as error:
        raise UserError(f"There is no archive ‘{archive}’. Check the path.") from error
    except OSError as error:
        raise UserError(f"‘{archive}’ cannot be read ({error.strerror or error}).") from error


def _hash(stream: BinaryIO, size: int, what: str, emit: Emit) -> str:
    digest, total, done = hashlib.blake2b(digest_size=32), -(-size // _CHUNK), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        done = min(done + 1, total)
        if done % 64 == 0 or done == total:
            emit(Progress(what, done, total, "MiB"))
    return digest.hexdigest()


def _unwrapped(folder: Path) -> Path:
    """The folder that holds the classes, the splits or the table."""
    for _ in range(_WRAPPINGS):
        inside = [
            path
            for path in folder.iterdir()
            if path.is_dir() and not path.name.startswith(".") and path.name.lower() not in _LITTER
        ]
        if len(inside) != 1 or split_of(inside[0].name):
            break
        held = list(inside[0].iterdir())
        if not any(path.is_dir() or path.suffix.lower() == ".csv" for path in held):
            break  # a single class: the reader of folders has a sentence for that
        if any(is_table(path) for path in folder.glob("*.csv")):
            break
        folder = inside[0]
    return folder


def _stem(archive: Path) -> str:
    """The name without what says that it is an archive."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if archive.name.lower().endswith(suffix):
            return archive.name[: -len(suffix)] or archive.name
    return archive.stem
