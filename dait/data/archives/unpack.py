"""Archives from strangers, unpacked whole or not at all.

Only plain files and folders come out, under names that stay inside; no links, no devices, nobody's
permissions. Python's own ``tarfile`` filters are not in every Python that this runs on, and know no
bounds, so every name, kind and size is checked here before anything is written.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from unicodedata import category

import psutil

from dait.data.archives.forward import XzReader
from dait.data.archives.members import ForeignNames, Member, fill_from_tar, fill_from_zip, shown
from dait.data.folders.names import is_left_by_system
from dait.errors import UserError
from dait.events import Emit, Progress, ignore

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Names that archives have; what an archive is, is read from its first bytes all the same."""

_CHUNK = 1 << 20  # bytes read, checked and written at a time
_LONGEST_PART, _LONGEST_NAME, _DEEPEST = 255, 1024, 32  # bytes of UTF-8, bytes, folders
_RESERVE = 1 << 28  # bytes of the disk that are left free
_SMALL = 1 << 26  # bytes that any archive may unpack to, whatever its own length
_NOTES = ".notes-of-unpacking"  # a file in the unpacked folder
_MARK = "unpacking"  # of a temporary folder: .<its final name>.<mark>-<host>-<pid>-<random>
_STALE_AFTER = 2 * 24 * 3600  # seconds; for what another machine left on a shared disk
_NEVER = {b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive"}


@dataclass(frozen=True)
class ArchiveLimits:
    """What may come out of an archive: how many files and folders, how many bytes in all, and how
    many times its own length (from 64 MiB on: photographs hardly shrink when they are packed).
    """

    files: int = 200_000
    bytes: int = 64 * 2**30
    ratio: int = 100


DEFAULT_LIMITS = ArchiveLimits()
SPACE_LIMITS = ArchiveLimits(files=20_000, bytes=2 * 2**30)
"""Where strangers upload."""


def limits_here() -> ArchiveLimits:
    """The bounds of this machine: those of a public Hugging Face Space, or the wide ones."""
    return SPACE_LIMITS if os.environ.get("SPACE_ID") else DEFAULT_LIMITS


def unpack(
    archive: Path, into: Path, limits: ArchiveLimits = DEFAULT_LIMITS, emit: Emit = ignore
) -> tuple[str, ...]:
    """A ``.zip`` or ``.tar`` (plain, gz, bz2, xz) as the folder ``into``.

    ``into`` is made by renaming a finished folder beside it, so it is whole or not there: one that
    is there already came from an earlier call or from one in another process, and is left as it is.
    Archives inside are not opened, and what an operating system adds (``__MACOSX``, ``Thumbs.db``)
    does not come out. Names that are not in UTF-8 are read in the code page that they most probably
    are in, backslashes as slashes. Nothing is left after a failure, and what a killed process left
    is removed by ``sweep_unpacking``.

    emit: hears ``Progress`` in MiB of the archive. Returns sentences on what was guessed.
    Raises ``UserError`` for a file that is no such archive, is damaged, cut short or encrypted, for
    anything unsafe, overlapping or said twice in it, for more than ``limits`` by its own word or as
    it comes out, and where the disk is full or cannot be written.
    """
    if into.is_dir():
        return _notes(into)
    temporary = temporary_beside(into)
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        sweep_unpacking(into.parent)
        with _opened(archive) as stream:
            try:
                _fill(Filling(archive, temporary, limits, emit), stream, None)
            except ForeignNames as found:  # which are understood together only: again, from the top
                shutil.rmtree(temporary)
                _fill(Filling(archive, temporary, limits, emit), stream, found)
        temporary.rename(into)
        return _notes(into)
    except OSError as error:
        if into.is_dir():  # another process was first, and its folder is as good
            return _notes(into)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(archive.name, into.parent) from error
        raise UserError(
            f"‘{archive.name}’ cannot be unpacked into ‘{into.parent}’ ({error.strerror or error})."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


class Filling:
    """A folder that members are written into, within limits; each name once."""

    def __init__(self, archive: Path, root: Path, limits: ArchiveLimits, emit: Emit) -> None:
        root.mkdir()
        self.name, self.root, self.limits = archive.name, root, limits
        self._remarks: dict[str, None] = {}
        self._files: set[tuple[str, ...]] = set()
        self._folders: set[tuple[str, ...]] = set()
        self._written = 0
        # Filling a disk to the brim, if only for a while, would stop whatever else writes to it.
        self._room = shutil.disk_usage(root).free - _RESERVE
        self._length = archive.stat().st_size
        self._told = -1
        self._emit = emit

    def refuse(self, what: str, todo: str = "Pack it again without.") -> UserError:
        return UserError(f"‘{self.name}’ {what}. {todo} Nothing was unpacked.")

    def require_bytes(self, size: int) -> None:
        if size > self.limits.bytes:
            raise self.refuse(
                f"unpacks to more than {_amount(self.limits.bytes)}, which is the most allowed",
                "Pack fewer photographs, or unpack it yourself and give the folder.",
            )
        if size > max(_SMALL, self.limits.ratio * self._length):
            raise self.refuse(
                f"unpacks to more than {self.limits.ratio} times its own size, as only a bomb does",
                "If it is none, unpack it yourself and give the folder.",
            )
        if size > self._room:
            raise _no_room(self.name, self.root.parent)

    def require_count(self, count: int) -> None:
        if count > self.limits.files:
            raise self.refuse(
                f"holds more than {self.limits.files:,} files and folders, the most allowed",
                "Pack fewer photographs, or unpack it yourself and give the folder.",
            )

    def add(self, member: Member) -> None:
        """Writes one member; raises ``UserError`` before writing for an unsafe or second name."""
        if any(is_left_by_system(part) for part in re.split(r"[/\\\\]", member.name)):
            return
        parts = self._parts(member.name)
        if member.folder:
            self._make_folders(member.name, parts)
            return
        if not parts or parts in self._files or parts in self._folders:
            raise self.refuse(f"holds {shown(member.name)} twice")
        self.require_bytes(self._written + member.size)
        self._make_folders(member.name, parts[:-1])
        self._files.add(parts)
        self.require_count(len(self._files) + len(self._folders))
        try:
            self._copy(member, self.root.joinpath(*parts))
        except FileExistsError as error:
            raise self.refuse(
                f"holds {shown(member.name)} and another name that this disk takes for the same"
            ) from error

    def note_guess(self, page: str) -> None:
        """Remember that names were read in a code page that the archive does not name."""
        self._remarks[
            f"‘{self.name}’ does not say how its names are encoded; they are read as {page}, which "
            "is most probable. Look at the names of the classes."
        ] = None

    def tell(self, position: int) -> None:
        """How many bytes of the archive have been read."""
        total = -(-self._length // 2**20)
        done = min(total, position >> 20)
        if done > self._told and (done - self._told) * 100 >= total:
            self._told = done
            self._emit(Progress(f"Unpacking {self.name}", done, total, "MiB"))

    def finish(self) -> None:
        if not self._files:
            raise self.refuse("holds no files", "Pack the photographs again.")
        if self._remarks:
            (self.root / _NOTES).write_text("\n".join(self._remarks), encoding="utf-8")
        total = -(-self._length // 2**20)
        self._emit(Progress(f"Unpacking {self.name}", total, total, "MiB"))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hostile bytes make the readers raise nearly anything; whatever it was, it is damage."""
        try:
            yield
        except UserError:
            raise
        except EOFError as error:
            raise self._damaged("it ends too early") from error
        except Exception as error:
            raise self._damaged(str(error) or type(error).__name__) from error

    def _damaged(self, why: str) -> UserError:
        return self.refuse(f"is damaged or incomplete ({why})", "Copy or download it again.")

    def _copy(self, member: Member, target: Path) -> None:
        copied = 0
        with target.open("xb") as file:
            with self.reading():
                source = member.open()
            with source:
                while True:
                    with self.reading():
                        chunk = source.read(_CHUNK)
                    if not chunk:
                        break
                    copied += len(chunk)
                    self._written += len(chunk)
                    if copied > member.size:
                        raise self.refuse(f"holds more of {shown(member.name)} than it claims")
                    self.require_bytes(self._written)
                    file.write(chunk)
        if copied < member.size:
            raise self._damaged(f"{shown(member.name)} ends too early")

    def _make_folders(self, name: str, parts: tuple[str, ...]) -> None:
        for depth in range(1, len(parts) + 1) if parts not in self._folders else ():
            folder = parts[:depth]
            if folder in self._files:
                raise self.refuse(f"holds {shown('/'.join(folder))} as a file and as a folder")
            if folder not in self._folders:
                self._folders.add(folder)
                self.require_count(len(self._files) + len(self._folders))
                self.root.joinpath(*folder).mkdir(exist_ok=True)

    def _parts(self, name: str) -> tuple[str, ...]:
        """The folders and the file of a member's name; ``./`` and doubled slashes are dropped."""
        safe = shown(name)
        unprintable = () if name.isprintable() else name
        if any(category(character) in ("Cc", "Cs") for character in unprintable):
            raise self.refuse(
                f"holds {safe}, a name with control characters or not in UTF-8",
                "Rename it and pack again.",
            )
        if "\\" in name:
            name = name.replace("\\", "/")
            self._remarks["Backslashes in its names are read as slashes, between folders."] = None
        absolute = name.startswith("/") or re.match("[A-Za-z]:", name)
        if absolute or (os.name == "nt" and ":" in name):
            raise self.refuse(f"holds {safe}: a drive or a root in its name")
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if ".." in parts:
            raise self.refuse(f"holds {safe}, which leads out of the folder")
        if parts[:1] == (_NOTES,):
            raise self.refuse(f"holds {safe}, a name that is used here", "Rename it.")
        lengths = [len(part.encode()) for part in parts]
        if (
            max(lengths, default=0) > _LONGEST_PART
            or len(name.encode()) > _LONGEST_NAME
            or len(parts) > _DEEPEST
        ):
            raise self.refuse(
                f"holds {safe}, too long a name (at most {_LONGEST_PART} bytes a part, "
                f"{_LONGEST_NAME} in all, {_DEEPEST} parts)",
                "Rename it and pack again.",
            )
        return parts


def _fill(filling: Filling, stream: BinaryIO, foreign: ForeignNames | None) -> None:
    stream.seek(0)
    if foreign is not None and foreign.page:
        filling.note_guess(foreign.page)
    head = stream.read(512)
    stream.seek(0)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        fill_from_zip(filling, stream)
    elif head[:2] == b"\x1f\x8b":
        fill_from_tar(filling, stream, gzip.GzipFile(fileobj=stream), foreign)
    elif head[:3] == b"BZh":
        fill_from_tar(filling, stream, bz2.BZ2File(stream), foreign)
    elif head[:6] == b"\xfd7zXZ\x00":
        fill_from_tar(filling, stream, XzReader(stream), foreign)
    elif head[257:262] == b"ustar":
        fill_from_tar(filling, stream, stream, foreign)
    else:
        found = _NEVER.get(head[:4], "not a .zip or .tar archive" if head else "empty (0 bytes)")
        raise filling.refuse(f"is {found}", "Pack the photographs as .zip, .tar or .tar.gz.")
    filling.finish()


def temporary_beside(into: Path) -> Path:
    """A name for a folder that becomes ``into``; ``sweep_unpacking`` knows it."""
    unique = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return into.with_name(f".{into.name}.{_MARK}-{unique}")


def sweep_unpacking(folder: Path) -> None:
    """Removes what killed processes left in a folder: of this machine, and of others after days."""
    here = socket.gethostname()
    for left in folder.glob(f".*.{_MARK}-*-*-*"):
        host, pid, _ = left.name.rpartition(f".{_MARK}-")[2].rsplit("-", 2)
        if host == here and pid.isdigit():
            dead = not psutil.pid_exists(int(pid))
        else:
            dead = _age(left) > _STALE_AFTER
        if dead:
            shutil.rmtree(left, ignore_errors=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # its process has just finished
        return 0.0


def _notes(into: Path) -> tuple[str, ...]:
    try:
        return tuple((into / _NOTES).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return ()


def _no_room(name: str, folder: Path) -> UserError:
    return UserError(
        f"There is no room to unpack ‘{name}’ in ‘{folder}’. Free some, or set DAIT_CACHE to a "
        "folder on another disk."
    )


def _amount(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} bytes"
