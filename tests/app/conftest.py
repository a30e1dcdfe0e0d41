"""A place with a finished study; the app as a process of its own; a browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.place import PROJECT, Place
from app.studies import finished_studies
from dait.runs import RunsRoot

STUDY = "tiny-20260101-120000-0a1b2c3d"
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
NO_BROWSER = (
    "no Chromium found: install one (apt install chromium, or python -m playwright install "
    "chromium) to run the browser tests"
)
SECONDS_TO_ANSWER = 90


@pytest.fixture
def place(tmp_path: Path, tiny_study: Path) -> Place:
    """One finished study of our own, none shipped."""
    runs, shipped = tmp_path / "runs", tmp_path / "shipped"
    shutil.copytree(tiny_study, runs / STUDY)
    shipped.mkdir()
    return Place(runs=RunsRoot(runs), shipped=RunsRoot(shipped))


@pytest.fixture
def empty_place(tmp_path: Path) -> Place:
    """Nothing trained, nothing shipped."""
    for name in ("runs", "shipped"):
        (tmp_path / name).mkdir()
    return Place(runs=RunsRoot(tmp_path / "runs"), shipped=RunsRoot(tmp_path / "shipped"))


@pytest.fixture(scope="session")
def app_runs(tmp_path_factory: pytest.TempPathFactory, tiny_study: Path) -> Path:
    """The runs folder of the served app: empty where studies come along, as at a first visit."""
    runs = tmp_path_factory.mktemp("served") / "runs"
    runs.mkdir()
    if not finished_studies(Place(runs=RunsRoot(runs))):
        shutil.copytree(tiny_study, runs / STUDY)
    return runs


@pytest.fixture(scope="session")
def app_address(app_runs: Path) -> Iterator[str]:
    """The address of ``python app.py``, started from another folder than the project's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DAIT_RUNS": str(app_runs),
        "GRADIO_SERVER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("SPACE_ID", None)
    output = app_runs.parent / "app.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "app.py")],
            cwd=app_runs.parent,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(address, process, output)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_it_answers(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the app does not answer:\n{output.read_text()}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium: the system's, or the one that Playwright installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        executable = system or playwright.chromium.executable_path
        if not Path(executable).exists():
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(NO_BROWSER)
            pytest.skip(NO_BROWSER)
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()
