"""A place with a finished study; the app as a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import OpenPage, served, watched_tabs

from app.config import AppConfig
from app.studies.entries import finished_studies
from dait.bundle.web.runtime import Runtime, web_runtime
from dait.errors import UserError
from dait.runs.folder import RunsRoot

STUDY = "tiny-20260101-120000-0a1b2c3d"


@pytest.fixture
def config(tmp_path: Path, tiny_study: Path) -> AppConfig:
    """One finished study of our own, none shipped."""
    runs, shipped = tmp_path / "runs", tmp_path / "shipped"
    shutil.copytree(tiny_study, runs / STUDY)
    shipped.mkdir()
    return AppConfig(runs=RunsRoot(runs), shipped=RunsRoot(shipped))


@pytest.fixture
def empty_config(tmp_path: Path) -> AppConfig:
    """Nothing trained, nothing shipped."""
    for name in ("runs", "shipped"):
        (tmp_path / name).mkdir()
    return AppConfig(runs=RunsRoot(tmp_path / "runs"), shipped=RunsRoot(tmp_path / "shipped"))


@pytest.fixture(scope="session")
def app_runs(tmp_path_factory: pytest.TempPathFactory, tiny_study: Path) -> Path:
    """The runs folder of the served app: empty where studies come along, as at a first visit."""
    runs = tmp_path_factory.mktemp("served") / "runs"
    runs.mkdir()
    if not finished_studies(AppConfig(runs=RunsRoot(runs))):
        shutil.copytree(tiny_study, runs / STUDY)
    return runs


@pytest.fixture(scope="session")
def app_address(app_runs: Path) -> Iterator[str]:
    """The address of ``python app.py``, started from another folder than the project's."""
    with served(app_runs) as address:
        yield address


@pytest.fixture
def open_page(browser: Any, app_address: str) -> Iterator[OpenPage]:
    """Open the page in a tab; in the end no tab may have logged an error or asked elsewhere."""
    with watched_tabs(browser, app_address) as open_tab:
        yield open_tab


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """What runs a network in a browser, in the cache."""
    if shutil.which("npm") is None:
        pytest.skip("no npm, which gets the runtime")
    try:
        return web_runtime()
    except UserError as error:
        pytest.skip(str(error))
