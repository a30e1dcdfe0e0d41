"""The app as a process of its own, and tabs of a browser that are watched for faults."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.place import PROJECT

SECONDS_TO_ANSWER = 180

OpenPage = Callable[..., Any]
"""From a query string and a viewport to a page."""


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """``python app.py`` over a runs folder, as a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DAIT_RUNS": str(runs),
        "GRADIO_SERVER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("SPACE_ID", None)
    output = runs.parent / "app.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "app.py")],
            cwd=runs.parent,
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


@contextmanager
def watched_tabs(browser: Any, address: str) -> Iterator[OpenPage]:
    """Opens the page in tabs. At the end none may have logged an error or asked elsewhere."""
    faults: list[str] = []
    contexts = []

    def check_request(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            faults.append(f"asked {request.url}")

    def check_message(message: Any) -> None:
        if message.type == "error":
            faults.append(f"logged {message.text}")

    def open_tab(query: str = "", viewport: dict[str, int] | None = None) -> Any:
        context = browser.new_context(viewport=viewport or {"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("request", check_request)
        page.on("console", check_message)
        page.on("pageerror", lambda error: faults.append(f"raised {error}"))
        page.goto(f"{address}/{query}")
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert faults == []


def _wait_until_it_answers(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the app does not answer:\n{output.read_text()}")
