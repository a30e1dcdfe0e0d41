"""An archive of photographs as a listing: unpacked once into the cache, then read as a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from dait.data.archives.destination import ArchiveLimits, limits_here
from dait.data.archives.unpack import SUFFIXES, unpack
from dait.data.folders.folder import list_folder
from dait.data.folders.layout import data_folder, require_fractions
from dait.data.folders.listing import Listing
from dait.data.folders.names import is_litter
from dait.data.folders.scan import FolderScan
from dait.data.folders.table import is_table, list_table
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.storage.cache import cache_dir
from dait.storage.files import hash_stream

_VERSION = 2  # of how names are read; what was unpacked with an earlier one is removed
_WRAPPINGS = 3  # folders around a table that are searched

# By path, bytes and nanoseconds: hashing a GiB takes a second.
_hashes: dict[tuple[str, int, int], str] = {}


def list_archive(
    path: str | Path,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    emit: Emit = ignore,
    limits: ArchiveLimits | None = None,
) -> Listing:
    """The photographs of a ``.zip`` or ``.tar`` (plain, gz, bz2, xz).

    It holds what a folder of photographs holds (``list_folder``), perhaps within another folder and
    beside other files, or photographs and one table that names them (``list_table``); images beside
    the folder that is read are ``left_out``. It is unpacked into the cache under a hash of its
    bytes: the same archive under another path is not unpacked again, and its listing has the same
    fingerprint.

    emit: hears ``Progress`` of reading and unpacking. limits: by default those of this machine.
    Raises ``UserError`` as ``unpack``, ``list_folder`` and ``list_table`` do; then nothing stays.
    """
    archive = Path(path).expanduser()
    require_fractions(val_fraction, test_fraction)
    digest = _digest(archive, emit)
    folder = _unpacked(digest)
    shutil.rmtree(_archives() / digest[:32], ignore_errors=True)  # as earlier versions read names
    notes = unpack(archive, folder, limits or limits_here(), emit)
    try:
        scan = FolderScan(folder)
        inner = [suffix for suffix in scan.ignored if suffix in (*SUFFIXES, ".gz", ".7z", ".rar")]
        if inner and not scan.top.total:
            raise UserError(
                f"‘{folder}’ holds archives ({', '.join(inner)}) and no photographs. Unpack them, "
                "and pack the photographs themselves."
            )
        table = _table(folder)
        if table is not None:
            listing = list_table(table, val_fraction, test_fraction, split_seed)
            notes += (f"The labels are those of ‘{table.name}’ in the archive.",)
        else:
            meant = data_folder(scan.top)
            root = folder / meant.path if meant else folder
            listing = list_folder(root, val_fraction, test_fraction, split_seed)
    except UserError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(str(error).replace(str(folder), archive.name)) from error
    read = listing.root.relative_to(folder).as_posix()
    if read != ".":
        outside = (path for path in scan.top.all_photos() if not path.startswith(f"{read}/"))
        scan.leave_out(outside, f"they are beside ‘{read}’, the folder that is read")
        beside = tuple(left for left in scan.left_out if not left.first.startswith(f"{read}/"))
        listing = replace(listing, left_out=listing.left_out + beside)
    # Unpacked files are as old as their unpacking; the archive's hash stands for their contents.
    stamp = int(digest[:15], 16)
    splits = {
        name: tuple(replace(entry, modified=stamp) for entry in entries)
        for name, entries in listing.splits.items()
    }
    notes += listing.notes
    return replace(listing, name=_stem(archive), root=archive, splits=splits, notes=notes)


def forget_archive(path: str | Path) -> None:
    """Remove what was unpacked of an archive. Raises ``UserError`` where it cannot be read."""
    shutil.rmtree(_unpacked(_digest(Path(path), ignore)), ignore_errors=True)


def _archives() -> Path:
    return cache_dir() / "archives"


def _unpacked(digest: str) -> Path:
    return _archives() / f"{digest[:32]}-{_VERSION}"


def _digest(archive: Path, emit: Emit) -> str:
    """Of the archive's bytes; remembered for as long as its length and time stay."""
    if archive.is_dir():
        raise UserError(f"‘{archive}’ is a folder, not an archive. Give a .zip or .tar file.")
    try:
        with archive.open("rb") as stream:
            about = os.fstat(stream.fileno())
            key = (str(archive.resolve()), about.st_size, about.st_mtime_ns)
            if key not in _hashes:
                digest = hashlib.blake2b(digest_size=32)
                what = f"Reading {archive.name}"
                _hashes[key] = hash_stream(stream, digest, about.st_size, what, emit)
            return _hashes[key]
    except FileNotFoundError as error:
        raise UserError(f"There is no archive ‘{archive}’. Check the path.") from error
    except OSError as error:
        raise UserError(f"‘{archive}’ cannot be read ({error.strerror or error}).") from error


def _table(folder: Path) -> Path | None:
    """The one table of the archive; None where there is none, or several side by side."""
    for depth in range(_WRAPPINGS + 1):
        files = sorted(folder.glob("*/" * depth + "*.[cC][sS][vV]"))
        tables = [file for file in files if not _is_hidden(file, folder) and is_table(file)]
        if tables:
            return tables[0] if len(tables) == 1 else None
    return None


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(is_litter(part) for part in file.relative_to(folder).parts)


def _stem(archive: Path) -> str:
    """The name without what says that it is an archive."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if archive.name.lower().endswith(suffix):
            return archive.name[: -len(suffix)] or archive.name
    return archive.stem
