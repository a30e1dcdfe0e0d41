"""Exceptions: what a user is meant to read, what ends work on request, and errors of disks."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path

_QUOTED = re.compile(r"""(?<=[‘“'"`])(?:/|[A-Za-z]:\\)[^’”'"`\n]*[/\\]([^/\\’”'"`\n]+)""")
_PATH = re.compile(r"""(?<![\w./:])(?:/[^\s/'"‘’“”,;:()]+)+/([^\s/'"‘’“”,;:()]+)""")
_WINDOWS_PATH = re.compile(r"""(?<!\w)[A-Za-z]:\\(?:[^\s\\'"‘’“”,;()]+\\)*([^\s\\'"‘’“”,;()]+)""")


class UserError(Exception):
    """Something the user can mend: the message says what was found, what is allowed, what to do.

    The command line prints the message alone (no traceback) and exits with code 2; the app shows
    it in the page.
    """


class NewerFile(UserError):  # noqa: N818 - reads better where it is caught
    """A file that a newer version of the project wrote: it is not understood, and not damaged."""

    def __init__(self, path: Path, found: int, read: int) -> None:
        super().__init__(
            f"{path} was written in version {found} of its format; this program reads version "
            f"{read}. Use the version of the project that wrote it, or move the file away."
        )


class Stopped(BaseException):
    """Asked to stop. Not an ``Exception``, so that nothing on the way takes it for a failure."""


def without_paths(sentence: str, roots: Mapping[str, str] | None = None) -> str:
    """A sentence for others than the machine's user: of every absolute path its last part.

    roots: folders, and what they are called; what lies in one keeps its place in there.
    """
    known, home = dict(roots or {}), Path.home()
    if len(home.parts) > 2:  # /home/NAME, of which the name is the last part
        known[str(home)] = "~"
    for root in sorted(known, key=len, reverse=True):
        # Not in the middle of another path, nor the beginning of a longer name.
        found = re.compile(rf"(?<![\w./:-]){re.escape(root)}(/|(?![\w.-]))")
        sentence = found.sub(
            lambda at, root=root: "" if at[1] else known[root],  # type: ignore[misc]
            sentence,
        )
    for pattern in (_QUOTED, _PATH, _WINDOWS_PATH):
        sentence = pattern.sub(r"\1", sentence)
    return sentence


def is_full(error: OSError) -> bool:
    """Whether the disk, or this user's share of it, is full."""
    # numpy.save says that it wrote less than it had to, and not why.
    cut_short = error.errno is None and " requested and " in str(error)
    return cut_short or error.errno in (errno.ENOSPC, errno.EDQUOT)


def refused_by_disk(error: OSError) -> UserError | None:
    """The sentence for an error that the disk or its rights made; None for any other."""
    if not is_full(error) and error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
        return None
    file = f"‘{error.filename}’" if error.filename else "a file"
    return UserError(
        f"The disk refused {file} ({error.strerror or error}). Free some disk space, and see that "
        "this user may read and write there."
    )
