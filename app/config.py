"""The app's configuration: folders, address, limits, and which paths are hidden."""

from __future__ import annotations

import errno
import os
import re
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dait.errors import UserError, without_paths
from dait.evaluation.regimes import MAP
from dait.runs.folder import RunsRoot, runs_root
from dait.storage.paths import ASSETS, PROJECT, absolute, folder_of

DEFAULT_PORT = 7860
MOST_AT_ONCE = 64
_SHOWN = 40  # characters of a wrong value
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_HOST = "*"
_NAME = re.compile(r"\[[0-9a-f:.]+\]|[\w.-]+")

_ROOTS: dict[str, str] = {str(PROJECT): PROJECT.name, tempfile.gettempdir(): "tmp"}
"""Folders by path, and the name that replaces the path in sentences."""


@dataclass(frozen=True)
class Limits:
    """What one visitor may start and upload.

    waiting: studies in the queue; settings: values that one sweep tries; archive_bytes: of one
    uploaded data set; archives: uploaded data sets that are kept at once; tidy: whether every
    visitor may rename and delete studies, and take those of others out of the queue; any_network:
    whether networks and frozen teachers that are on this machine may be used even if the page does
    not offer them.
    """

    epochs: int = 2000
    seeds: int = 5
    waiting: int = 50
    settings: int = 20
    archive_bytes: int = 2 * 2**30
    archives: int = 50
    tidy: bool = True
    any_network: bool = True
    note: str = ""


SPACE_LIMITS = Limits(
    epochs=5,
    seeds=1,
    waiting=3,
    settings=0,
    archive_bytes=200 * 2**20,
    archives=5,
    tidy=False,
    any_network=False,
    note="This public Space trains one study at a time, at most 5 epochs and one seed, and any "
    "visitor may stop it. "
    "Duplicate this Space for real work.",
)

_SPACE = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class AppConfig:
    """Folders and limits, read once from the environment.

    runs: studies that are started here; shipped: bundled studies, read-only;
    data: the folders of photographs that the form offers, by their names;
    paths: whether the visitor is the user of this machine and may name any of its paths;
    at_once: trainings that run at the same time; regimes: the map that advice is taken from; hosts:
    the names by which the server is reached, or ``ANY_HOST``; any_origin: whether pages of other
    websites may call it; space: the owner and name of the Space that it is, empty elsewhere.
    """

    runs: RunsRoot
    shipped: RunsRoot = field(default_factory=lambda: RunsRoot(ASSETS / "runs"))
    data: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = Limits()
    host: str = "127.0.0.1"
    port: int | None = None
    paths: bool = False
    at_once: int = 1
    regimes: Path = MAP
    hosts: tuple[str, ...] = LOOPBACK
    any_origin: bool = False
    space: str = ""

    def __post_init__(self) -> None:
        for root in (self.runs.path, self.shipped.path, *self.data.values()):
            _ROOTS[str(root)] = root.name

    @property
    def uploads(self) -> Path:
        """The folder of uploaded data sets, beside the studies."""
        return self.runs.path / "data"


def hide_paths(sentence: str) -> str:
    """The sentence with every path cut to its last part, so that visitors do not learn locations.

    Paths in the runs, the shipped studies and the offered data are cut to the part in there.
    """
    return without_paths(sentence, _ROOTS)


def read_config(environment: Mapping[str, str] | None = None) -> AppConfig:
    """The configuration that the environment describes.

    ``GRADIO_SERVER_PORT``, ``GRADIO_SERVER_NAME``, ``DAIT_RUNS``, ``DAIT_DATA`` (a folder whose
    subfolders are data sets), ``DAIT_JOBS`` (trainings at the same time), ``DAIT_REGIMES`` (the
    rows of a map of regimes), ``DAIT_HOSTS`` and
    ``GRADIO_ROOT_PATH`` (the names by which a proxy makes it known) and ``SPACE_ID`` (set on a
    Hugging Face Space). ``DAIT_CACHE`` and ``DAIT_DOWNLOADS``, which others read, are
    checked too: better at the start than in the middle of a training. Raises
    ``UserError`` for a folder, a port or a number that cannot be used.
    """
    values = os.environ if environment is None else environment
    for name in ("DAIT_RUNS", "DAIT_CACHE", "DAIT_DOWNLOADS"):
        _check_writable(name, values.get(name))
    on_space = bool(values.get("SPACE_ID"))
    host = values.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else LOOPBACK[0])
    named = _hosts(values.get("DAIT_HOSTS"), values.get("GRADIO_ROOT_PATH"))
    # A visitor who uses another name than the machine's own comes from elsewhere.
    own = not on_space and host in LOOPBACK and not named
    known = own or (named and not on_space)
    return AppConfig(
        runs=runs_root(),
        data=_data_folders(values.get("DAIT_DATA")),
        limits=SPACE_LIMITS if on_space else Limits(),
        host=host,
        port=_port(values.get("GRADIO_SERVER_PORT")),
        paths=own,
        at_once=_at_once(values.get("DAIT_JOBS")),
        regimes=absolute(values.get("DAIT_REGIMES") or MAP),
        hosts=tuple(dict.fromkeys((*LOOPBACK, host, *named))) if known else (ANY_HOST,),
        any_origin=on_space,
        space=values.get("SPACE_ID", "") if _SPACE.fullmatch(values.get("SPACE_ID", "")) else "",
    )


def check_address(config: AppConfig) -> None:
    """Raises ``UserError`` for an address that is not this machine's, and for a port in use."""
    for family, kind, protocol, _, address in _addresses(config.host, config.port or 0):
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As servers do: ports in TIME_WAIT are free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except PermissionError as error:
            raise UserError(
                f"GRADIO_SERVER_PORT is {config.port}, which only an administrator may open. Give "
                "a number from 1024 to 65535."
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UserError(
                    f"Port {config.port} is in use on {config.host}. Set GRADIO_SERVER_PORT to a "
                    "free one, or end the program that uses it."
                ) from error
            raise UserError(_no_address(config.host, error)) from error


def _addresses(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:1]
    except (OSError, UnicodeError) as error:
        raise UserError(_no_address(host, error)) from error


def _no_address(host: str, error: Exception) -> str:
    return (
        f"GRADIO_SERVER_NAME is {host!r}, which is not an address of this machine ({error}). "
        f"Set it to {LOOPBACK[0]} for this machine alone, to 0.0.0.0 for everybody who can reach "
        "it, or unset it."
    )


def _port(text: str | None) -> int | None:
    return _number("GRADIO_SERVER_PORT", text, 65535) if text else None


def _hosts(names: str | None, root: str | None) -> tuple[str, ...]:
    """The names of ``DAIT_HOSTS``, separated by commas, and the host of ``GRADIO_ROOT_PATH``."""
    found = [name.strip().lower() for name in (names or "").split(",") if name.strip()]
    for name in found:
        if not _NAME.fullmatch(name):
            raise UserError(
                f"DAIT_HOSTS has {name!r}; give names such as lab.example.org, without a port or a "
                "path, separated by commas."
            )
    found = [name.strip("[]") for name in found]
    own = urlsplit(root or "").hostname
    return (*found, own) if own else tuple(found)


def _at_once(text: str | None) -> int:
    return _number("DAIT_JOBS", text, MOST_AT_ONCE) if text else 1


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 0 < int(text) <= most):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise UserError(f"{name} is {shown!r}; give a number from 1 to {most}.")
    return int(text)


def _check_writable(name: str, text: str | None) -> None:
    """Raise ``UserError`` if a folder is not writable or cannot be created. Creates nothing."""
    if not text:
        return
    folder = folder_of(name, text)
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written" if there.is_dir() else "is not a folder"
        raise UserError(
            f"{name} is {folder}, but {there} {why}. Set it to a folder that can be written, or "
            "unset it."
        )


def _data_folders(root: str | None) -> dict[str, Path]:
    if not root:
        return {}
    path = folder_of("DAIT_DATA", root)
    try:
        entries = [entry for entry in path.iterdir() if entry.name[0] not in "._"]
        return {entry.name: entry for entry in sorted(entries) if entry.is_dir()}
    except OSError as error:
        raise UserError(
            f"DAIT_DATA is {path}, which cannot be read as a folder ({error.strerror}). Set it to "
            "a folder whose subfolders are data sets, or unset it."
        ) from error
