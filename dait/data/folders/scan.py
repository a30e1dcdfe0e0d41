"""Scan a folder of photographs, so that every file is used or reported."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import category

from dait.data.base import Problem
from dait.data.folders.listing import ImageEntry, LeftOut
from dait.data.folders.names import is_litter, natural_key, nfc
from dait.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of the images that are read, in lower case."""

_OTHER_IMAGES = re.compile(
    r"\.(hei[cf]|avif|jp2|j2k|jx[lr]|dng|cr[23]|nef|arw|orf|raf|rw2|pef|srw|psd|tga|exr|hdr|dcm"
    r"|p[pgbn]m)"
)
_DEEPEST = 32


@dataclass(eq=False)
class Folder:
    """A folder: ``name`` in composed form, ``path`` below the root as the disk writes it.

    photos: the paths below the root of the images directly in it, in natural order.
    """

    name: str
    path: str
    folders: list[Folder] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    total: int = 0
    """Images in it and below it."""

    def all_photos(self) -> Iterator[str]:
        """The images in it and below it."""
        yield from self.photos
        for folder in self.folders:
            yield from folder.all_photos()


class FolderScan:
    """What lies below ``root``: natural order, nothing hidden, no links that lead out of it.

    problems: files and folders that cannot be used. ignored: suffix to number of files that are no
    images. unread: the same of images in formats that are not read.

    most: files and folders that are scanned. Raises ``UserError`` for more of them, and where
    ``root`` cannot be listed.
    """

    def __init__(self, root: Path, most: int | None = None) -> None:
        self.root = root
        self._most = most
        self.problems: list[Problem] = []
        self.ignored: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self._left: dict[str, tuple[int, str]] = {}  # by reason: how many, and the first
        self._inside = root.resolve()
        self._files = 0
        self.top = self._folder("", "", (self._inside,))

    def leave_out(self, photos: Iterable[str], reason: str) -> None:
        """Count images that are not used, by their paths."""
        for photo in photos:
            count, first = self._left.get(reason, (0, ""))
            self._left[reason] = (count + 1, first or photo)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was left, by reason."""
        return tuple(LeftOut(count, first, why) for why, (count, first) in self._left.items())

    def _folder(self, name: str, path: str, above: tuple[Path, ...]) -> Folder:
        """above: the folders that it is in, links followed, and itself."""
        folder = Folder(nfc(name), path)
        for entry in self._entries(path):
            inside = f"{path}/{entry.name}" if path else entry.name
            if entry.is_dir():
                target = (
                    Path(entry.path).resolve() if entry.is_symlink() else above[-1] / entry.name
                )
                if target in above or len(above) > _DEEPEST:
                    self._refuse(inside, "is a link to a folder around it, or too deep a folder")
                    continue
                child = self._folder(entry.name, inside, (*above, target))
                folder.folders.append(child)
                folder.total += child.total
            elif entry.is_file() and self._is_photo(entry.name, inside):
                folder.photos.append(inside)
                folder.total += 1
        return folder

    def entry(self, path: str, name: str, label: int) -> ImageEntry | None:
        """The entry of an image under the id ``name``; None, and a problem, if it is unreadable."""
        file = self.root / path
        try:
            about = file.stat()
        except OSError as error:  # it was there a moment ago
            self._refuse(path, f"cannot be read ({error.strerror or error})")
            return None
        if not os.access(file, os.R_OK):
            self._refuse(path, "cannot be read (permission denied)")
            return None
        return ImageEntry(name, label, file, about.st_size, about.st_mtime_ns)

    def _is_photo(self, name: str, inside: str) -> bool:
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - of 100,000 files
        if suffix in SUFFIXES:
            return True
        if _OTHER_IMAGES.fullmatch(suffix):
            self.unread[suffix] += 1
            self.leave_out(
                [inside], f"{suffix} is a format that is not read; save them as JPEG or PNG"
            )
        else:
            self.ignored[suffix or "(none)"] += 1
        return False

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        folder = self.root / path
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            if path:
                self._refuse(path, f"cannot be listed ({error.strerror or error})")
                return []
            raise UserError(
                f"The folder ‘{folder}’ cannot be listed: {error.strerror or error}."
            ) from error
        self._files += len(entries)
        if self._most is not None and self._files > self._most:
            raise UserError(f"‘{self.root}’ holds more than {self._most:,} files.")
        entries.sort(key=lambda entry: natural_key(entry.name))
        return [entry for entry in entries if self._is_kept(entry, path)]

    def _is_kept(self, entry: os.DirEntry[str], path: str) -> bool:
        name = entry.name
        inside = f"{path}/{name}" if path else name
        if is_litter(name):
            # Nearly all hidden files are a system's own; an image may have been hidden by mistake.
            image = name.lower().endswith(SUFFIXES) and not name.startswith("._")
            if image and name not in SUFFIXES and entry.is_file(follow_symlinks=False):
                self.leave_out([inside], "they are hidden (their names begin with a dot)")
            return False
        if not name.isprintable() and any(category(letter) in ("Cc", "Cs") for letter in name):
            self._refuse(ascii(inside)[1:-1], "has control characters in its name; rename it")
            return False
        return not entry.is_symlink() or self._stays_inside(entry.path, inside)

    def _stays_inside(self, link: str, inside: str) -> bool:
        target = Path(link).resolve()
        if not target.is_relative_to(self._inside):
            self._refuse(inside, "is a link that leads out of the folder")
        elif not target.exists():
            self._refuse(inside, "is a link that leads nowhere")
        else:
            return True
        return False

    def _refuse(self, inside: str, reason: str) -> None:
        self.problems.append(Problem(inside, reason))
