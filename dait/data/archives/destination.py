"""The folder that an archive is unpacked into: what may be written there, and how much.

``zipfile`` and ``tarfile`` read the archives. Their own ``extract`` is not used, because it knows
no bounds on files, bytes and ratio, and renames what is unsafe where it should be refused; the
data filter of ``tarfile`` is also missing from some Pythons that the project supports. So every
name, kind and size is checked here before anything is written, for both formats alike.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from unicodedata import category

from dait.data.folders.names import is_left_by_system
from dait.errors import UserError
from dait.events import Emit, Progress

NOTES = ".notes-of-unpacking"
"""A file in the unpacked folder: sentences on what was guessed."""

_CHUNK = 1 << 20  # bytes
_LONGEST_PART, _LONGEST_NAME, _DEEPEST = 255, 1024, 32  # bytes of UTF-8, bytes, folders
_RESERVE = 1 << 28  # bytes of the disk that are left free
_SMALL = 1 << 26  # bytes that any archive may unpack to, whatever its own length


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may unpack to: files and folders, bytes in total, and bytes as a multiple of
    its own length (from 64 MiB on: photographs hardly shrink when they are packed).
    """

    files: int = 200_000
    bytes: int = 64 * 2**30
    ratio: int = 100


DEFAULT_LIMITS = ArchiveLimits()
SPACE_LIMITS = ArchiveLimits(files=20_000, bytes=2 * 2**30)
"""Where strangers upload."""


def limits_here() -> ArchiveLimits:
    """The limits of this machine: those of a public Hugging Face Space, or the wide ones."""
    return SPACE_LIMITS if os.environ.get("SPACE_ID") else DEFAULT_LIMITS


@dataclass(frozen=True)
class Member:
    """One file or folder of an archive: ``size`` is what its header claims."""

    name: str
    size: int
    is_folder: bool
    open: Callable[[], IO[bytes]]


class Destination:
    """A folder that members are written into, within limits; each name once."""

    def __init__(self, archive: Path, root: Path, limits: ArchiveLimits, emit: Emit) -> None:
        self.name, self.root, self.limits = archive.name, root, limits
        self._notes: dict[str, None] = {}
        self._files: set[tuple[str, ...]] = set()
        self._folders: set[tuple[str, ...]] = set()
        self._written = 0
        # Filling a disk to the brim, if only for a while, would stop whatever else writes to it.
        self._room = shutil.disk_usage(root).free - _RESERVE
        self._length = archive.stat().st_size
        self._reported = -1
        self._emit = emit

    def refusal(self, what: str, todo: str = "Pack it again without.") -> UserError:
        """The error for an archive that is not unpacked."""
        return UserError(f"‘{self.name}’ {what}. {todo} Nothing was unpacked.")

    def require_bytes(self, size: int) -> None:
        """Raises ``UserError`` where ``size`` bytes in total are too many."""
        if size > self.limits.bytes:
            raise self.refusal(
                f"unpacks to more than {_amount(self.limits.bytes)}, which is the most allowed",
                "Pack fewer photographs, or unpack it yourself and give the folder.",
            )
        if size > max(_SMALL, self.limits.ratio * self._length):
            raise self.refusal(
                f"unpacks to more than {self.limits.ratio} times its own size, as only a bomb does",
                "If it is none, unpack it yourself and give the folder.",
            )
        if size > self._room:
            raise no_room(self.name, self.root.parent)

    def require_count(self, count: int) -> None:
        """Raises ``UserError`` where ``count`` files and folders are too many."""
        if count > self.limits.files:
            raise self.refusal(
                f"holds more than {self.limits.files:,} files and folders, the most allowed",
                "Pack fewer photographs, or unpack it yourself and give the folder.",
            )

    def add(self, member: Member) -> None:
        """Write one member; raises ``UserError`` before writing for an unsafe or second name."""
        if any(is_left_by_system(part) for part in re.split(r"[/\\\\]", member.name)):
            return
        parts = self._parts(member.name)
        if member.is_folder:
            self._make_folders(member.name, parts)
            return
        if not parts or parts in self._files or parts in self._folders:
            raise self.refusal(f"holds {shown(member.name)} twice")
        self.require_bytes(self._written + member.size)
        self._make_folders(member.name, parts[:-1])
        self._files.add(parts)
        self.require_count(len(self._files) + len(self._folders))
        try:
            self._copy(member, self.root.joinpath(*parts))
        except FileExistsError as error:
            raise self.refusal(
                f"holds {shown(member.name)} and another name that this disk takes for the same"
            ) from error
        self._written += member.size

    def note_code_page(self, page: str) -> None:
        """Note that names were read in a code page that the archive does not name."""
        self._notes[
            f"‘{self.name}’ does not say how its names are encoded; they are read as {page}, which "
            "is most probable. Look at the names of the classes."
        ] = None

    def report(self, position: int) -> None:
        """Emit how many bytes of the archive have been read."""
        total = -(-self._length // 2**20)
        done = min(total, position >> 20)
        if done > self._reported and (done - self._reported) * 100 >= total:
            self._reported = done
            self._emit(Progress(f"Unpacking {self.name}", done, total, "MiB"))

    def finish(self) -> None:
        """Write the notes. Raises ``UserError`` where no file has come."""
        if not self._files:
            raise self.refusal("holds no files", "Pack the photographs again.")
        if self._notes:
            (self.root / NOTES).write_text("\n".join(self._notes), encoding="utf-8")
        total = -(-self._length // 2**20)
        self._emit(Progress(f"Unpacking {self.name}", total, total, "MiB"))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Take what the readers raise for damage: on hostile bytes they raise nearly anything."""
        try:
            yield
        except UserError:
            raise
        except EOFError as error:
            raise self._damaged("it ends too early") from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk, not the data
                raise
            raise self._damaged(str(error) or type(error).__name__) from error

    def _damaged(self, why: str) -> UserError:
        return self.refusal(f"is damaged or incomplete ({why})", "Copy or download it again.")

    def _copy(self, member: Member, target: Path) -> None:
        with target.open("xb") as file:
            with self.reading(), member.open() as source:
                # Both libraries give no more bytes than the header claims.
                shutil.copyfileobj(source, file, _CHUNK)
            if file.tell() < member.size:
                raise self._damaged(f"{shown(member.name)} ends too early")

    def _make_folders(self, name: str, parts: tuple[str, ...]) -> None:
        if parts in self._folders:
            return
        for depth in range(1, len(parts) + 1):
            folder = parts[:depth]
            if folder in self._files:
                raise self.refusal(f"holds {shown('/'.join(folder))} as a file and as a folder")
            if folder not in self._folders:
                self._folders.add(folder)
                self.require_count(len(self._files) + len(self._folders))
                self.root.joinpath(*folder).mkdir(exist_ok=True)

    def _parts(self, name: str) -> tuple[str, ...]:
        """The folders and the file of a member's name; ``./`` and doubled slashes are dropped."""
        safe = shown(name)
        unprintable = () if name.isprintable() else name
        if any(category(character) in ("Cc", "Cs") for character in unprintable):
            raise self.refusal(
                f"holds {safe}, a name with control characters or not in UTF-8",
                "Rename it and pack again.",
            )
        if "\\" in name:
            name = name.replace("\\", "/")
            self._notes["Backslashes in its names are read as slashes, between folders."] = None
        absolute = name.startswith("/") or re.match("[A-Za-z]:", name)
        if absolute or (os.name == "nt" and ":" in name):
            raise self.refusal(f"holds {safe}: a drive or a root in its name")
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if ".." in parts:
            raise self.refusal(f"holds {safe}, which leads out of the folder")
        if parts[:1] == (NOTES,):
            raise self.refusal(f"holds {safe}, a name that is reserved", "Rename it.")
        lengths = [len(part.encode()) for part in parts]
        if (
            max(lengths, default=0) > _LONGEST_PART
            or len(name.encode()) > _LONGEST_NAME
            or len(parts) > _DEEPEST
        ):
            raise self.refusal(
                f"holds {safe}, too long a name (at most {_LONGEST_PART} bytes a part, "
                f"{_LONGEST_NAME} in all, {_DEEPEST} parts)",
                "Rename it and pack again.",
            )
        return parts


def shown(name: str) -> str:
    """A hostile name for a sentence: printable, and not too long."""
    safe = name if name.isprintable() else ascii(name)[1:-1]
    return f"‘{safe}’" if len(safe) <= 80 else f"‘{safe[:77]}…’"


def no_room(name: str, folder: Path) -> UserError:
    """The error for a disk that is too full to unpack the archive ``name`` in ``folder``."""
    return UserError(
        f"There is no room to unpack ‘{name}’ in ‘{folder}’. Free some, or set DAIT_CACHE to a "
        "folder on another disk."
    )


def _amount(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} bytes"
