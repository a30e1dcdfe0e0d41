"""Archives of photographs from visitors: named by us, bounded, and kept beside the studies."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
from pathlib import Path

from app.place import Place
from app.wording import listed
from dait.errors import UserError
from dait.files import cannot_write

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LONGEST_STEM = 60


class Uploads:
    """The uploaded data sets of one place. Names that come from a browser are checked."""

    def __init__(self, place: Place) -> None:
        self.folder = place.uploads
        self.limits = place.limits
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """What is kept, newest first."""
        if not self.folder.is_dir():
            return []
        files = [
            file
            for file in self.folder.iterdir()
            if _suffix(file.name) and file.name[0] != "." and file.is_file()
        ]
        return [f.name for f in sorted(files, key=lambda f: (-f.stat().st_mtime, f.name))]

    def path(self, name: object) -> Path:
        """The file with this name. Raises ``UserError`` unless it is one of ``names()``."""
        if name not in self.names():
            raise UserError(
                "This upload is not there any more: somebody has deleted it. Choose another one."
            )
        return self.folder / str(name)

    def keep(self, sent: str | Path, called: str) -> str:
        """Keep a file that the server has received, and give its name here.

        called: what the visitor's machine called it; only its letters, digits and ending are used.
        Raises ``UserError`` for another kind of file, one that is too large, and one too many.
        """
        suffix = _suffix(called)
        if not suffix:
            raise UserError(
                f"‘{Path(called).name[:80]}’ is no archive. Upload {listed(list(SUFFIXES))}: a "
                "folder of class/*.jpg, or split/class/*.jpg, packed into one file."
            )
        size, allowed = Path(sent).stat().st_size, self.limits.archive_bytes
        if size > allowed:
            raise UserError(
                f"The archive has {_mib(size)}; at most {_mib(allowed)} are taken here. Scale the "
                "photographs down first: networks see them at a few hundred pixels."
            )
        with self._lock:
            kept = self.names()
            if len(kept) >= self.limits.archives:
                raise UserError(
                    f"There are {len(kept)} uploads already, and no more are kept. Delete one."
                )
            name = _free_name(_stem(called, suffix), suffix, kept)
            _place(Path(sent), self.folder / name)
        return name

    def delete(self, name: object) -> None:
        """Delete an upload and what was unpacked of it. Raises ``UserError`` if it is not there."""
        from dait.data.archive import forget_archive

        file = self.path(name)
        size = file.stat().st_size
        others = [self.folder / other for other in self.names() if other != name]
        # Archives with the same bytes share what is unpacked.
        if not any(other.stat().st_size == size for other in others):
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


def _place(sent: Path, final: Path) -> None:
    temporary = final.with_name(f".{secrets.token_hex(8)}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(sent, temporary)  # no second copy of gigabytes where one disk holds both
        except OSError:
            shutil.copyfile(sent, temporary)
        temporary.replace(final)
    except OSError as error:
        raise cannot_write(final, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
