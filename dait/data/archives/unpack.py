"""Archives from strangers, unpacked completely or not at all.

Only plain files and folders come out, under names that stay inside; no links, no devices, and no
permissions. ``readers`` reads zip and tar, ``destination`` checks and writes what they hold.
"""

from __future__ import annotations

import bz2
import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dait.data.archives.destination import (
    DEFAULT_LIMITS,
    NOTES,
    ArchiveLimits,
    Destination,
    no_room,
)
from dait.data.archives.readers import ForeignNames, unpack_tar, unpack_zip
from dait.data.archives.streams import XzReader
from dait.errors import UserError, is_full
from dait.events import Emit, ignore
from dait.storage.cache import load_or_fill

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Names that archives have; what an archive is, is read from its first bytes all the same."""

_NOT_READ = {b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive"}


def unpack(
    archive: Path, into: Path, limits: ArchiveLimits = DEFAULT_LIMITS, emit: Emit = ignore
) -> tuple[str, ...]:
    """Unpack a ``.zip`` or ``.tar`` (plain, gz, bz2, xz) as the folder ``into``.

    ``into`` appears when it is complete; a folder that is there already came from an earlier call
    or from another process, and is left as it is. Archives inside are not opened, and what an
    operating system adds (``__MACOSX``, ``Thumbs.db``) does not come out. Names that are not in
    UTF-8 are read in the code page that they most probably are in, backslashes as slashes.

    emit: hears ``Progress`` in MiB of the archive. Returns sentences on what was guessed.
    Raises ``UserError`` for a file that is no such archive, is damaged, cut short or encrypted, for
    unsafe, overlapping or repeated members, for more than ``limits``, and where the disk is full or
    cannot be written; then nothing is left.
    """
    try:
        return load_or_fill(into, _notes, lambda folder: _fill(archive, folder, limits, emit), emit)
    except OSError as error:
        if is_full(error):
            raise no_room(archive.name, into.parent) from error
        raise UserError(
            f"‘{archive.name}’ cannot be unpacked into ‘{into.parent}’ ({error.strerror or error})."
        ) from error


def _notes(folder: Path) -> tuple[str, ...] | None:
    """The notes of an unpacked folder; None where there is no such folder."""
    if not folder.is_dir():
        return None
    try:
        return tuple((folder / NOTES).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return ()


def _fill(archive: Path, folder: Path, limits: ArchiveLimits, emit: Emit) -> None:
    with _opened(archive) as stream:
        try:
            _read(stream, Destination(archive, folder, limits, emit), None)
        except ForeignNames as foreign:
            # Its names can only be decoded together, so it is read a second time.
            shutil.rmtree(folder)
            folder.mkdir()
            _read(stream, Destination(archive, folder, limits, emit), foreign)


@contextmanager
def _opened(archive: Path) -> Iterator[BinaryIO]:
    if not archive.is_file():
        found = "is a folder, not an archive" if archive.is_dir() else "is not there"
        raise UserError(f"‘{archive}’ {found}. Give the path of a .zip or .tar file.")
    try:
        stream = archive.open("rb")
    except OSError as error:
        raise UserError(f"‘{archive}’ cannot be read ({error.strerror or error}).") from error
    with stream:
        yield stream


def _read(stream: BinaryIO, destination: Destination, foreign: ForeignNames | None) -> None:
    stream.seek(0)
    if foreign is not None and foreign.page:
        destination.note_code_page(foreign.page)
    head = stream.read(512)
    stream.seek(0)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        unpack_zip(destination, stream)
    elif head[:2] == b"\x1f\x8b":
        unpack_tar(destination, stream, gzip.GzipFile(fileobj=stream), foreign)
    elif head[:3] == b"BZh":
        unpack_tar(destination, stream, bz2.BZ2File(stream), foreign)
    elif head[:6] == b"\xfd7zXZ\x00":
        unpack_tar(destination, stream, XzReader(stream), foreign)
    elif head[257:262] == b"ustar":
        unpack_tar(destination, stream, stream, foreign)
    else:
        unknown = "not a .zip or .tar archive" if head else "empty (0 bytes)"
        raise destination.refusal(
            f"is {_NOT_READ.get(head[:4], unknown)}",
            "Pack the photographs as .zip, .tar or .tar.gz.",
        )
    destination.finish()
