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
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast
from unicodedata import category

import psutil

from dait.data.forward import Forward, Reader, XzReader
from dait.errors import UserError
from dait.events import Emit, Progress, ignore

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Names that archives have; what an archive is, is read from its first bytes all the same."""

_CHUNK = 1 << 20  # bytes read, checked and written at a time
_LONGEST_PART, _LONGEST_NAME, _DEEPEST = 255, 1024, 32  # bytes of UTF-8, bytes, folders
_RESERVE = 1 << 28  # bytes of the disk that are left free
_MOST_DIRECTORY = 1 << 28  # bytes of a zip's table of contents
_MOST_HEADER = 4 << 20  # bytes that one header of a tar may make the reader hold
_NEVER = {b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive"}


@dataclass(frozen=True)
class Limits:
    """How many files and folders may come out of an archive, and how many bytes in all."""

    files: int = 200_000
    bytes: int = 64 * 2**30


DEFAULT_LIMITS = Limits()
SPACE_LIMITS = Limits(files=20_000, bytes=2 * 2**30)
"""Where strangers upload: a small archive may unpack to a thousand times its size."""


def limits_here() -> Limits:
    """The bounds of this machine: those of a public Hugging Face Space, or the wide ones."""
    return SPACE_LIMITS if os.environ.get("SPACE_ID") else DEFAULT_LIMITS


def unpack(archive: Path, into: Path, limits: Limits = DEFAULT_LIMITS, emit: Emit = ignore) -> None:
    """A ``.zip`` or ``.tar`` (plain, gz, bz2, xz) as the folder ``into``.

    ``into`` is made by renaming a finished folder beside it, so it is whole or not there: one that
    is there already came from an earlier call or from one in another process, and is left as it is.
    Archives inside are not opened. Nothing is left after a failure, and what a killed process left
    is removed by the next call for the same ``into``.

    emit: hears ``Progress`` in MiB of the archive.
    Raises ``UserError`` for a file that is no such archive, is damaged, cut short or encrypted, for
    anything unsafe or said twice in it, for more than ``limits`` by its own word or as it comes
    out, and where the disk is full or cannot be written.
    """
    if into.is_dir():
        return
    unique = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = into.with_name(f".{into.name}.unpacking-{unique}")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        _sweep(into)
        temporary.mkdir()
        with _opened(archive) as stream:
            _fill(_Filling(archive, temporary, limits, emit), stream)
        temporary.rename(into)
    except OSError as error:
        if into.is_dir():  # another process was first, and its folder is as good
            return
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


@dataclass(frozen=True)
class _Member:
    """One file or folder of an archive: ``size`` is what its header claims."""

    name: str
    size: int
    folder: bool
    open: Callable[[], IO[bytes]]


class _Filling:
    """A folder that members are written into, within limits; each name once."""

    def __init__(self, archive: Path, root: Path, limits: Limits, emit: Emit) -> None:
        self.name, self.root, self.limits = archive.name, root, limits
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
        if size > self._room:
            raise _no_room(self.name, self.root.parent)

    def require_count(self, count: int) -> None:
        if count > self.limits.files:
            raise self.refuse(
                f"holds more than {self.limits.files:,} files and folders, the most allowed",
                "Pack fewer photographs, or unpack it yourself and give the folder.",
            )

    def add(self, member: _Member) -> None:
        """Writes one member; raises ``UserError`` before writing for an unsafe or second name."""
        parts = self._parts(member.name)
        if member.folder:
            self._make_folders(member.name, parts)
            return
        if not parts or parts in self._files or parts in self._folders:
            raise self.refuse(f"holds {_shown(member.name)} twice")
        self.require_bytes(self._written + member.size)
        self._make_folders(member.name, parts[:-1])
        self._files.add(parts)
        self.require_count(len(self._files) + len(self._folders))
        try:
            self._copy(member, self.root.joinpath(*parts))
        except FileExistsError as error:
            raise self.refuse(
                f"holds {_shown(member.name)} and another name that this disk takes for the same"
            ) from error

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

    def _copy(self, member: _Member, target: Path) -> None:
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
                        raise self.refuse(f"holds more of {_shown(member.name)} than it claims")
                    self.require_bytes(self._written)
                    file.write(chunk)
        if copied < member.size:
            raise self._damaged(f"{_shown(member.name)} ends too early")

    def _make_folders(self, name: str, parts: tuple[str, ...]) -> None:
        for depth in range(1, len(parts) + 1):
            folder = parts[:depth]
            if folder in self._files:
                raise self.refuse(f"holds {_shown('/'.join(folder))} as a file and as a folder")
            if folder not in self._folders:
                self._folders.add(folder)
                self.require_count(len(self._files) + len(self._folders))
                self.root.joinpath(*folder).mkdir(exist_ok=True)

    def _parts(self, name: str) -> tuple[str, ...]:
        """The folders and the file of a member's name; ``./`` and doubled slashes are dropped."""
        shown = _shown(name)
        if any(category(character) in ("Cc", "Cs") for character in name):
            raise self.refuse(
                f"holds {shown}, a name with control characters or not in UTF-8",
                "Rename it and pack again.",
            )
        absolute = name.startswith("/") or re.match("[A-Za-z]:", name)
        if absolute or "\\" in name or (os.name == "nt" and ":" in name):
            raise self.refuse(f"holds {shown}: a drive, a root or a backslash in its name")
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if ".." in parts:
            raise self.refuse(f"holds {shown}, which leads out of the folder")
        lengths = [len(part.encode()) for part in parts]
        if (
            max(lengths, default=0) > _LONGEST_PART
            or len(name.encode()) > _LONGEST_NAME
            or len(parts) > _DEEPEST
        ):
            raise self.refuse(
                f"holds {shown}, too long a name (at most {_LONGEST_PART} bytes a part, "
                f"{_LONGEST_NAME} in all, {_DEEPEST} parts)",
                "Rename it and pack again.",
            )
        return parts


def _fill(filling: _Filling, stream: BinaryIO) -> None:
    head = stream.read(512)
    stream.seek(0)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        _fill_from_zip(filling, stream)
    elif head[:2] == b"\x1f\x8b":
        _fill_from_tar(filling, stream, gzip.GzipFile(fileobj=stream))
    elif head[:3] == b"BZh":
        _fill_from_tar(filling, stream, bz2.BZ2File(stream))
    elif head[:6] == b"\xfd7zXZ\x00":
        _fill_from_tar(filling, stream, XzReader(stream))
    elif head[257:262] == b"ustar":
        _fill_from_tar(filling, stream, stream)
    else:
        found = _NEVER.get(head[:4], "not a .zip or .tar archive" if head else "empty (0 bytes)")
        raise filling.refuse(f"is {found}", "Pack the photographs as .zip, .tar or .tar.gz.")
    filling.finish()


class _Directory:
    """The file under a zip; stands guard while ``zipfile`` reads the whole table of contents."""

    def __init__(self, stream: BinaryIO, filling: _Filling) -> None:
        self._stream, self._filling, self.guarding = stream, filling, True
        self.seek, self.tell = stream.seek, stream.tell
        self.seekable = stream.seekable

    def read(self, size: int = -1) -> bytes:
        if self.guarding and size > _MOST_DIRECTORY:
            raise self._filling.refuse("has too long a table of contents")
        data = self._stream.read(size)
        if self.guarding:
            self._filling.require_count(data.count(b"PK\x01\x02"))
        return data


def _fill_from_zip(filling: _Filling, stream: BinaryIO) -> None:
    directory = _Directory(stream, filling)
    with filling.reading():
        packed = zipfile.ZipFile(cast(BinaryIO, directory))
    directory.guarding = False
    infos = packed.infolist()
    filling.require_count(len(infos))
    filling.require_bytes(sum(info.file_size for info in infos))
    for info in infos:
        _require_plain_zip(filling, info)
    read = 0
    for info in infos:
        # orig_filename: the other one ends at a NUL, and so would hide one.
        name, size, folder = info.orig_filename, info.file_size, info.is_dir()
        filling.add(_Member(name, size, folder, lambda info=info: packed.open(info)))  # type: ignore[misc]
        read += info.compress_size
        filling.tell(read)


def _require_plain_zip(filling: _Filling, info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise filling.refuse(f"holds {_shown(info.filename)}, a link or device")
    if info.flag_bits & 0x2041:  # encrypted: the old way, the strong way, the names too
        raise filling.refuse("is encrypted", "Pack it again without a password.")
    # Of Python's other methods, bzip2 would inflate a whole read at once and LZMA asks for as much
    # memory as the file pleases.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise filling.refuse(
            f"holds {_shown(info.filename)}, compressed by method {info.compress_type}",
            "Pack it again with the usual compression (deflate).",
        )


def _fill_from_tar(filling: _Filling, stream: BinaryIO, plain: Reader) -> None:
    forward = Forward(plain, most=_MOST_HEADER)
    with filling.reading():
        packed = tarfile.open(fileobj=cast(BinaryIO, forward), mode="r:")  # noqa: SIM115
    while True:
        with filling.reading():
            info = packed.next()
        if info is None:
            break
        if info.issparse() or not (info.isreg() or info.isdir()):
            raise filling.refuse(f"holds {_shown(info.name)}, a link, device or sparse file")
        # isreg, so extractfile gives a reader and never None
        opened = cast(Callable[[], IO[bytes]], lambda info=info: packed.extractfile(info))
        filling.add(_Member(info.name, info.size, info.isdir(), opened))
        filling.tell(stream.tell())
    with filling.reading():
        # tarfile takes a damaged header after the first file for the end. The true end is a block
        # of zeros; what follows it ends a compressed stream, whose checksum is read with it.
        if forward.last != bytes(tarfile.BLOCKSIZE):
            raise EOFError
        forward.read(_CHUNK)


def _sweep(into: Path) -> None:
    """Removes what killed processes of this machine left of ``into``."""
    mark = f".{into.name}.unpacking-{socket.gethostname()}-"
    for left in into.parent.iterdir():
        pid = left.name.removeprefix(mark).partition("-")[0]
        if left.name.startswith(mark) and pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _no_room(name: str, folder: Path) -> UserError:
    return UserError(
        f"There is no room to unpack ‘{name}’ in ‘{folder}’. Free some, or set DAIT_CACHE to a "
        "folder on another disk."
    )


def _shown(name: str) -> str:
    """A hostile name for a sentence: printable, and not too long."""
    safe = name if name.isprintable() else ascii(name)[1:-1]
    return f"‘{safe}’" if len(safe) <= 80 else f"‘{safe[:77]}…’"


def _amount(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} bytes"
