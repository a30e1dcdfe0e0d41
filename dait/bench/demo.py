"""What the demo costs: start-up, memory, a heatmap row, and the study that a visitor starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from dait.errors import UserError

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "assets" / "runs" / "demo"
START_LIMIT_SECONDS = 120
MEBIBYTE = 1 << 20


def measure_app() -> dict[str, float]:
    """Seconds from ``python app.py`` to its first answer, and its memory then and after warm-up."""
    with tempfile.TemporaryDirectory() as folder, _app(Path(folder)) as (process, port):
        seconds = _seconds_to_answer(process, port)
        at_once = _memory(process.pid)
        time.sleep(30)  # the page imports what it needs in the background
        return {
            "app_answers_s": seconds,
            "app_memory_mib": at_once,
            "app_memory_warm_mib": _memory(process.pid),
        }


def measure_heatmap_row(repeats: int = 5) -> dict[str, float]:
    """Median seconds of one image's heatmaps under all networks of the shipped study, warm."""
    import statistics

    from dait.evidence.comparison import Comparison
    from dait.runs import StudyFolder

    comparison = Comparison(StudyFolder(SHIPPED))
    index = comparison.gallery(1)[0]
    image, _ = comparison.test_image(index)
    comparison.explain(image)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        comparison.explain(image)
        times.append(time.perf_counter() - start)
    return {
        "heatmap_row_s": statistics.median(times),
        "heatmap_networks": float(len(comparison.members)),
        "heatmap_memory_mib": _memory(os.getpid()),
    }


def measure_study(recipe: str = "demo", epochs: int | None = None) -> dict[str, float]:
    """Seconds and peak memory of the three-arm study with one seed, from an empty cache.

    Raises UserError with the study's own last lines when it fails.
    """
    with tempfile.TemporaryDirectory() as folder, Path(folder, "out.txt").open("w+b") as log:
        command = [sys.executable, "-m", "dait", "study", recipe, "--out", f"{folder}/study"]
        if epochs is not None:
            command += ["--epochs", str(epochs)]
        environment = os.environ | {"DAIT_CACHE": f"{folder}/cache"}
        start, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.5)
        seconds = time.perf_counter() - start
        if process.returncode:
            log.seek(0)
            tail = log.read().decode(errors="replace")[-500:]
            raise UserError(f"The study ended with code {process.returncode}: {tail}")
        return {"study_s": seconds, "study_peak_mib": peak}


@contextmanager
def _app(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "DAIT_RUNS": str(folder / "runs"),
        "DAIT_CACHE": str(folder / "cache"),
    }
    log = (folder / "app.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "app.py")], env=environment, stdout=log, stderr=log
    )
    try:
        yield process, port
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _seconds_to_answer(process: subprocess.Popen[bytes], port: int) -> float:
    start = time.perf_counter()
    while time.perf_counter() - start < START_LIMIT_SECONDS:
        if process.poll() is not None:
            raise UserError(f"`python app.py` ended with code {process.returncode}; run it alone.")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return time.perf_counter() - start
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise UserError(f"`python app.py` did not answer within {START_LIMIT_SECONDS} seconds.")


def _memory(pid: int) -> float:
    """Resident memory of a process and its children, in MiB; 0 when it has just ended."""
    try:
        process = psutil.Process(pid)
        family: list[Any] = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family) / MEBIBYTE
    except psutil.NoSuchProcess:
        return 0.0
