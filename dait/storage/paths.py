"""The folders of the project: the one place where a given path becomes an absolute one.

``~`` is the home folder, and a relative path counts from the working directory of the process that
reads it first. Whatever that process starts gets it absolute (``environment``), because it may work
in another folder. Imports nothing heavy: the app and the command line begin here.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dait.errors import UserError

RUNS, CACHE, DOWNLOADS, DATA = "DAIT_RUNS", "DAIT_CACHE", "DAIT_DOWNLOADS", "DAIT_DATA"
FOLDERS = (
    *(RUNS, CACHE, DOWNLOADS, DATA),
    # Read by the libraries that download: a trainer must find what the app has downloaded.
    *("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "TORCH_HOME", "XDG_CACHE_HOME"),
)
"""Environment variables that name a folder."""

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that holds the package ``dait``: the clone, or ``site-packages``."""

IN_CLONE = (PROJECT / "pyproject.toml").is_file()
"""Whether this is a clone of the project (or installed from one with ``pip install -e``)."""

ASSETS = PROJECT / ("assets" if IN_CLONE else "dait/assets")
"""Bundled files: the demo teacher, pretrained backbones, the shipped study."""


def absolute(path: str | Path) -> Path:
    """``path`` with ``~`` filled in, absolute; links stay as they are.

    Raises ``UserError`` for the home folder of a user who is not known here.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"‘{path}’ cannot be found: {error} Write the path without ~.") from error


def folder_of(variable: str, value: str) -> Path:
    """The folder that the ``value`` of an environment variable names, absolute.

    Raises ``UserError``, which names the variable, for the home folder of an unknown user.
    """
    try:
        return absolute(value)
    except UserError as error:
        raise UserError(f"{variable}: {error}") from error


def chosen_folder(variable: str) -> Path | None:
    """The folder that an environment variable names; None where it is unset or empty."""
    value = os.environ.get(variable)
    return folder_of(variable, value) if value else None


def environment() -> dict[str, str]:
    """``os.environ`` with every folder absolute, for a process that works in another folder."""
    folders = {name: chosen_folder(name) for name in FOLDERS}
    return {**os.environ, **{name: str(path) for name, path in folders.items() if path}}


def make_absolute() -> None:
    """Make the folders in ``os.environ`` absolute: for a process that begins.

    What it starts may work in another folder, so where the default of the runs folder depends on
    that, it is written down too.
    """
    os.environ.update(environment())
    if not IN_CLONE:
        os.environ[RUNS] = str(runs_folder())


def runs_folder() -> Path:
    """Where studies are written: ``$DAIT_RUNS``, or ``runs``. Not made here.

    That is ``runs`` in the clone, and where the project is installed in the working folder.
    """
    return chosen_folder(RUNS) or (PROJECT if IN_CLONE else Path.cwd()) / "runs"


def downloads_folder() -> Path:
    """Where published data sets are kept: ``$DAIT_DOWNLOADS``, or a folder of this user.

    That is ``~/.local/share/dait-studio/data``, or below the system's temporary folder where there
    is no home folder. Not made here.
    """
    chosen = chosen_folder(DOWNLOADS)
    if chosen is not None:
        return chosen
    try:
        return Path.home() / ".local" / "share" / "dait-studio" / "data"
    except RuntimeError:  # no HOME and no entry for this user, as in some containers
        return Path(tempfile.gettempdir()) / "dait-studio-data"


def study_folder(text: str | Path) -> Path:
    """The folder of a study or a run: a path, or a name in the runs folder (``demo/dait-s0``).

    A path at which there is a study or a run goes before a name. Where neither is there it is the
    path: opening it reports what is missing.
    """
    path = absolute(text)
    if not _holds_a_study(path) and ".." not in Path(text).parts:
        named = runs_folder() / text
        if _holds_a_study(named):
            return named
    return path


def _holds_a_study(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("study.json", "config.yaml", "status.json"))
