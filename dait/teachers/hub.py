"""Files of the Hugging Face hub: from the cache on this machine, or downloaded into it.

Nothing here is run or unpickled: a file is found, or a sentence says how to get it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from dait.errors import UserError, is_full
from dait.events import Emit, Note, Progress, ignore
from dait.storage.files import format_bytes

_MIB = 2**20
_REPO = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")  # the oldest have no owner
_PATIENCE = 15.0  # seconds for the hub's first answer
_OFFLINE_TEACHER = "use the bundled teacher fieldguide-clip"


@dataclass(frozen=True)
class HubFile:
    """A file of the hub's model ``repo``: the first of ``names`` (safest first) that it has."""

    repo: str
    names: tuple[str, ...]
    revision: str = "main"

    def __post_init__(self) -> None:
        if not _REPO.fullmatch(self.repo) or ".." in self.repo or "--" in self.repo:
            raise UserError(
                f"‘{self.repo}’ is no model of the hub: give its owner and its name, "
                "as in imageomics/bioclip."
            )


def hub_folder() -> Path:
    """The hub's cache on this machine: ``$HF_HUB_CACHE``, ``$HF_HOME/hub`` or the default."""
    return Path(constants.HF_HUB_CACHE)


def repo_folder(repo: str) -> Path:
    """The folder of one model in the cache, whether or not it is there."""
    return hub_folder() / f"models--{repo.replace('/', '--')}"


def cached(file: HubFile) -> Path | None:
    """The file in the cache, or None; does not use the network."""
    for name in file.names:
        found = huggingface_hub.try_to_load_from_cache(
            file.repo, name, cache_dir=hub_folder(), revision=file.revision
        )
        if isinstance(found, str):
            return Path(found)
    return None


def fetch(file: HubFile, teacher: str, emit: Emit = ignore, size: int | None = None) -> Path:
    """The file, downloaded into the hub's cache unless it is there; then the hub is not asked.

    teacher: its name in messages. size: expected bytes, if known. emit: hears ``Progress`` in MiB.
    Raises ``UserError``, with what to do, where the file cannot be had; what came of it is removed.
    """
    if (found := cached(file)) is not None:
        return found
    # What the hub's library raises, and what the system does: a full disk, a refused connection.
    troubles = (HTTPError, OSError, RuntimeError, ValueError)
    try:
        if constants.is_offline_mode():
            raise ConnectionError("HF_HUB_OFFLINE is set")
        with _silent("huggingface_hub"):
            for name in file.names:
                try:
                    size = _size(file, name) or size
                except RemoteEntryNotFoundError:
                    continue
                emit(Note(f"downloading {name} of {file.repo} ({format_bytes(size)})"))
                path = huggingface_hub.hf_hub_download(
                    file.repo,
                    name,
                    revision=file.revision,
                    cache_dir=hub_folder(),
                    tqdm_class=_reporting(emit, f"Downloading {file.repo}"),
                )
                return Path(path)
    except troubles as error:
        raise UserError(_explain(error, file, teacher, size)) from error
    raise UserError(
        f"The hub's model {file.repo} has none of the files that are read here "
        f"({', '.join(file.names)}), so {teacher} cannot be loaded; choose another teacher."
    )


def _size(file: HubFile, name: str) -> int | None:
    """Bytes, from the hub's answer to HEAD; raises what the hub's library raises."""
    url = huggingface_hub.hf_hub_url(file.repo, name, revision=file.revision)
    return huggingface_hub.get_hf_file_metadata(url, timeout=_PATIENCE).size


def _reporting(emit: Emit, what: str) -> type:
    """A stand-in for tqdm that turns the bytes it hears of into ``Progress`` in MiB."""

    class Reporting:
        def __init__(self, *args: Any, total: int | None = None, **kwargs: Any) -> None:
            self.n = int(kwargs.get("initial") or 0)
            self.total = total
            self._reported = -1

        def update(self, n: float | None = 1) -> None:
            self.n += int(n or 0)
            mib = self.n // _MIB
            if mib != self._reported and self.total and self.n < self.total:
                self._reported = mib
                emit(Progress(what, mib, -(-self.total // _MIB), "MiB"))

        def close(self) -> None:
            if self.total and self.n >= self.total:
                mib = -(-self.total // _MIB)
                emit(Progress(what, mib, mib, "MiB"))

        def refresh(self, *args: Any, **kwargs: Any) -> None:
            """A bar would be drawn again."""

        def set_description(self, *args: Any, **kwargs: Any) -> None:
            """A bar would change its label."""

        def __enter__(self) -> Reporting:
            return self

        def __exit__(self, *error: Any) -> None:
            self.close()

    return Reporting


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Without the library's log on stderr: the error says the same."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _explain(error: BaseException, file: HubFile, teacher: str, size: int | None) -> str:
    page = f"{constants.ENDPOINT}/{file.repo}"
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError):
        return (
            f"The weights of {teacher} are given only to those who accept their terms. Accept them "
            f"at {page}, then run `hf auth login` (or set HF_TOKEN) and try again."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"The hub's model {file.repo} has no version ‘{file.revision}’; see {page}."
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403, 404):
        return (
            f"The hub does not give {file.repo} to us (it answers {status}): there is no such "
            f"model, or it is private. See {page}; for a private one, run `hf auth login` first."
        )
    if isinstance(error, OSError) and is_full(error):
        return (
            f"There is no room for the weights of {teacher} ({format_bytes(size)}) in "
            f"{hub_folder()}. Free some, or set HF_HOME to a folder on another disk."
        )
    if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError)):
        return (
            f"The hub's cache {hub_folder()} cannot be written. Set HF_HOME to a folder that can."
        )
    if status is not None:
        reason = f"the hub answers {status}; try again later"
    elif str(error) == "HF_HUB_OFFLINE is set":
        reason = "HF_HUB_OFFLINE forbids to download them"
    else:
        detail = f"{type(error).__name__}: {first_line(error)}"
        reason = f"they could not be downloaded from {constants.ENDPOINT} ({detail})"
    return missing(file, teacher, size, reason)


def missing(file: HubFile, teacher: str, size: int | None, reason: str) -> str:
    """The sentence for weights that are not here: which, how large, and how to get them."""
    here = repo_folder(file.repo)
    return (
        f"The weights of {teacher} are not on this machine ({file.names[0]} of the hub's model "
        f"{file.repo}, {format_bytes(size)}), and {reason}. Where there is a connection, run "
        f"`python -m dait teacher fetch {teacher}`; if that is another machine, copy the folder "
        f"{here.name} from its hub cache (~/.cache/huggingface/hub, or $HF_HOME/hub) into "
        f"{here.parent} here. Or {_OFFLINE_TEACHER}."
    )


def first_line(error: BaseException) -> str:
    """An error's first line, 200 characters of it at most."""
    return (str(error).strip().splitlines() or [""])[0][:200]
