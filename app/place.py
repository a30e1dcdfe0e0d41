"""Where the app runs: its folders, its address, what a visitor may start, and what none reads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dait.errors import UserError, without_paths
from dait.paths import PROJECT, absolute
from dait.runs import RunsRoot, runs_root

DEFAULT_PORT = 7860
MOST_AT_ONCE = 64
LOOPBACK = ("127.0.0.1", "localhost", "::1")

_ROOTS: dict[str, str] = {str(PROJECT): PROJECT.name, tempfile.gettempdir(): "tmp"}
"""Folders whose files are called by what comes below, and what they are called themselves."""


@dataclass(frozen=True)
class Limits:
    """What one visitor may start and send.

    waiting: studies in the queue; archive_bytes: of one uploaded data set; archives: uploaded data
    sets that are kept at once; tidy: whether every visitor may rename and delete studies, and take
    those of others out of the queue.
    """

    epochs: int = 2000
    seeds: int = 5
    waiting: int = 50
    archive_bytes: int = 2 * 2**30
    archives: int = 50
    tidy: bool = True
    note: str = ""


SPACE_LIMITS = Limits(
    epochs=5,
    seeds=1,
    waiting=3,
    archive_bytes=200 * 2**20,
    archives=5,
    tidy=False,
    note="This public Space trains one study at a time, at most 5 epochs and one seed, and any "
    "visitor may stop it. "
    "Duplicate this Space for real work.",
)


@dataclass(frozen=True)
class Place:
    """Folders and limits, read once from the environment.

    runs: studies that are started here; shipped: studies that come along, only read;
    data: the folders of photographs that the form offers, by their names;
    paths: whether a visitor may name any path of this machine, being its user;
    at_once: trainings that run at the same time.
    """

    runs: RunsRoot
    shipped: RunsRoot = field(default_factory=lambda: RunsRoot(PROJECT / "assets" / "runs"))
    data: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = Limits()
    host: str = "127.0.0.1"
    port: int | None = None
    paths: bool = False
    at_once: int = 1

    def __post_init__(self) -> None:
        for root in (self.runs.path, self.shipped.path, *self.data.values()):
            _ROOTS[str(root)] = root.name

    @property
    def uploads(self) -> Path:
        """The folder of uploaded data sets; beside the studies, where a training finds them."""
        return self.runs.path / "data"


def hide_paths(sentence: str) -> str:
    """The sentence with the last part of every path alone: where things lie is nobody's business.

    Of files in the runs, the shipped studies and the offered data, their place in there stays.
    """
    return without_paths(sentence, _ROOTS)


def read_place(environment: Mapping[str, str] | None = None) -> Place:
    """The place that the environment describes.

    ``GRADIO_SERVER_PORT``, ``GRADIO_SERVER_NAME``, ``DAIT_RUNS``, ``DAIT_DATA`` (a folder whose
    subfolders are data sets), ``DAIT_JOBS`` (trainings at the same time) and ``SPACE_ID`` (set on a
    Hugging Face Space). Raises ``UserError`` for a folder, a port or a number that cannot be used.
    """
    values = os.environ if environment is None else environment
    on_space = bool(values.get("SPACE_ID"))
    host = values.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else LOOPBACK[0])
    return Place(
        runs=runs_root(),
        data=_data_folders(values.get("DAIT_DATA")),
        limits=SPACE_LIMITS if on_space else Limits(),
        host=host,
        port=_port(values.get("GRADIO_SERVER_PORT")),
        paths=not on_space and host in LOOPBACK,
        at_once=_at_once(values.get("DAIT_JOBS")),
    )


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UserError(f"GRADIO_SERVER_PORT is {text!r}; give a number from 1 to 65535.")
    return int(text)


def _at_once(text: str | None) -> int:
    if not text:
        return 1
    if not text.isdecimal() or not 0 < int(text) <= MOST_AT_ONCE:
        raise UserError(f"DAIT_JOBS is {text!r}; give a number from 1 to {MOST_AT_ONCE}.")
    return int(text)


def _data_folders(root: str | None) -> dict[str, Path]:
    if not root:
        return {}
    path = absolute(root)
    if not path.is_dir():
        raise UserError(
            f"DAIT_DATA is {path}, which is no folder. Set it to a folder whose subfolders are "
            "data sets, or unset it."
        )
    folders = [entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] not in "._"]
    return {folder.name: folder for folder in sorted(folders)}
