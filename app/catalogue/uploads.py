"""Visitors' archives of photographs: renamed, bounded, and kept beside the studies."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.config import AppConfig
from app.ui.wording import listed
from dait.data.archives.archive import forget_archive
from dait.errors import UserError
from dait.storage.files import cannot_write

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LONGEST_STEM = 60


class Uploads:
    """The uploaded data sets of one app. Names that come from a browser are checked."""

    def __init__(self, config: AppConfig) -> None:
        self.folder = config.uploads
        self.limits = config.limits
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The names of the uploads, newest first."""
        return sorted((kept := self._kept()), key=lambda name: (-kept[name].st_mtime, name))

    def _kept(self) -> dict[str, os.stat_result]:
        """Files by name, without those that are deleted at this moment."""
        found: dict[str, os.stat_result] = {}
        with suppress(OSError):  # nothing was ever uploaded
            for file in self.folder.iterdir():
                with suppress(OSError):
                    about = file.stat()
                    if _suffix(file.name) and file.name[0] != "." and stat.S_ISREG(about.st_mode):
                        found[file.name] = about
        return found

    def path(self, name: object) -> Path:
        """The file with this name. Raises ``UserError`` unless it is one of ``names()``."""
        if name not in self.names():
            raise UserError("This upload was deleted. Choose another one.")
        return self.folder / str(name)

    def keep(self, sent: str | Path, called: str) -> str:
        """Keep a received file; returns its name here.

        called: its name on the visitor's machine, of which only letters, digits and the suffix are
        used. Raises ``UserError`` for another file type, a file that is too large, and if there
        are too many uploads.
        """
        suffix = _suffix(called)
        if not suffix:
            raise UserError(
                f"‘{Path(called).name[:80]}’ is not an archive. Upload {listed(list(SUFFIXES))}: a "
                "folder of class/*.jpg, or split/class/*.jpg, packed into one file."
            )
        try:
            size, allowed = Path(sent).stat().st_size, self.limits.archive_bytes
        except OSError as error:
            raise UserError(
                "The uploaded file does not exist any more. Upload it again."
            ) from error
        if size > allowed:
            raise UserError(
                f"The archive has {_mib(size)}; at most {_mib(allowed)} are accepted here. Scale "
                "the photographs down first: networks see them at a few hundred pixels."
            )
        # Before the lock, for a copy of gigabytes takes minutes.
        with _copied(Path(sent), self.folder) as copy, self._lock:
            kept = self.names()
            if len(kept) >= self.limits.archives:
                raise UserError(
                    f"There are {len(kept)} uploads already, which is the maximum. Delete one."
                )
            name = _free_name(_stem(called, suffix), suffix, kept)
            copy.replace(self.folder / name)
        return name

    def delete(self, name: object) -> None:
        """Delete an upload and its unpacked files. Raises ``UserError`` if it does not exist."""
        file = self.path(name)
        kept = self._kept()
        own = kept.pop(file.name, None)
        # Archives with the same bytes share their unpacked files.
        if own is not None and all(other.st_size != own.st_size for other in kept.values()):
            forget_archive(file)
        file.unlink(missing_ok=True)


def _suffix(name: str) -> str:
    lower = name.lower()
    return next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), "")


def _stem(called: str, suffix: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(called).name[: -len(suffix)])
    return plain.strip("-_")[:_LONGEST_STEM] or "photographs"


def _free_name(stem: str, suffix: str, kept: list[str]) -> str:
    taken = {name.lower() for name in kept}  # not every disk tells case apart
    name, number = f"{stem}{suffix}", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    return name


@contextmanager
def _copied(sent: Path, folder: Path) -> Iterator[Path]:
    """A temporary copy in ``folder``, which is removed at the end unless it was renamed."""
    temporary = folder / f".{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            os.link(sent, temporary)  # no second copy of gigabytes where one disk holds both
        except OSError:
            shutil.copyfile(sent, temporary)
        yield temporary
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
