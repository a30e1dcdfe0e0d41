"""The app as a process of its own, and tabs of a browser that are watched for faults."""

from __future__ import annotations

import os
import signal
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

from app.config import PROJECT

SECONDS_TO_ANSWER = 180

LEAVING = "this document is being left"
# A message and not a moment on our clock: it keeps its place among those of the document.
TELL_WHEN_LEAVING = (
    f"addEventListener('beforeunload', () => console.debug('{LEAVING}'), {{ capture: true }})"
)

DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever proxy another test of this process made the library remember."""

OpenPage = Callable[..., Any]
"""From a query string and a viewport, or a page to open a tab beside, to a page."""


ACTION_MS = 90_000
"""For one click or wait: a busy machine with two browsers takes long for a page's first figures."""


@contextmanager
def served(runs: Path, **more: str) -> Iterator[str]:
    """``python app.py`` over a runs folder, as a process of its own; its address.

    more: of its environment.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DAIT_RUNS": str(runs),
        "GRADIO_SERVER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    for name in ("SPACE_ID", "DAIT_HOSTS", "GRADIO_ROOT_PATH", "GRADIO_SERVER_NAME"):
        environment.pop(name, None)
    environment |= more
    output = runs.parent / "app.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(PROJECT / "app.py")],
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
    tabs: list[_Watch] = []
    contexts = []

    def open_tab(
        query: str = "", viewport: dict[str, int] | None = None, beside: Any = None
    ) -> Any:
        if beside is None:
            context = browser.new_context(viewport=viewport or {"width": 1280, "height": 900})
            contexts.append(context)
        else:
            context = beside.context
        page = context.new_page()
        page.set_default_timeout(ACTION_MS)
        tabs.append(_Watch(page, address))
        page.goto(f"{address}/{query}")
        return page

    yield open_tab
    for context in contexts:
        context.close()
    faults = [fault for tab in tabs for fault in tab.faults]
    if faults:
        pytest.fail("\n".join(faults))


class _Watch:
    """The faults of one tab.

    What a document logs while the browser leaves it is none: with answers still on their way,
    Gradio's page ends its streams then and complains of its own doing.
    """

    def __init__(self, page: Any, address: str) -> None:
        self.faults: list[str] = []
        self._page, self._address = page, address
        self._left = False
        page.add_init_script(TELL_WHEN_LEAVING)
        page.on("request", self._requested)
        page.on("console", self._logged)
        page.on("pageerror", self._raised)
        page.on("framenavigated", self._arrived)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self._address, "data:", "blob:")):
            self.faults.append(f"asked {request.url}")

    def _logged(self, message: Any) -> None:
        if message.text == LEAVING:
            self._left = True
        if message.type == "error" and not self._left:
            self.faults.append(f"logged {message.text} (at {message.location})")

    def _raised(self, error: Any) -> None:
        if not self._left:
            self.faults.append(f"raised {error}")

    def _arrived(self, frame: Any) -> None:
        if frame == self._page.main_frame:
            self._left = False


def _wait_until_it_answers(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with DIRECTLY.open(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    # Where it stands in every thread, written by faulthandler.
    process.send_signal(signal.SIGABRT)
    process.wait(timeout=20)
    pytest.fail(f"the app does not answer:\n{output.read_text()}")
