"""Servers as processes of their own, the seconds until each answers, and photographs for them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dait.errors import UserError
from dait.storage.paths import PROJECT as PROJECT

START_LIMIT_SECONDS = 120
PHOTO_PIXELS = (1600, 1200)
BETWEEN_LOOKS_SECONDS = 0.02

# A proxy of the machine's own must not be asked for an address of the machine itself.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Served:
    """A server that answers. seconds: from the start of its process to its first answer."""

    process: subprocess.Popen[bytes]
    address: str
    seconds: float


@contextmanager
def serve(script: Path, folder: Path) -> Iterator[Served]:
    """Run a script that serves at ``GRADIO_SERVER_PORT``; ended with the context.

    folder: for its runs, its cache and what it prints. Raises ``UserError`` where it ends or does
    not answer with 200 in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "DAIT_RUNS": str(folder / "runs"),
        "DAIT_CACHE": str(folder / "cache"),
    }
    with (folder / f"{script.stem}.log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(script)], env=environment, stdout=log, stderr=log
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(process, address, script)
            yield Served(process, address, time.perf_counter() - start)
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str, script: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UserError(
                f"`python {script.name}` ended with code {process.returncode}; run it alone."
            )
        try:
            with _DIRECTLY.open(address, timeout=5):
                return
        except OSError:
            time.sleep(BETWEEN_LOOKS_SECONDS)
    raise UserError(f"`python {script.name}` did not answer within {START_LIMIT_SECONDS} seconds.")


def draw_photo(file: Path, seed: int) -> Path:
    """A JPEG of ``PHOTO_PIXELS``, another one for each seed; gives ``file``."""
    width, height = PHOTO_PIXELS
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 50, width // 50, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(PHOTO_PIXELS, Image.Resampling.BICUBIC).save(file)
    return file
