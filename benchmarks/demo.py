"""What the demo costs: start-up, memory, a heatmap row, and the study that a visitor starts."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.output import add_json_option, print_end, print_figures
from benchmarks.serving import PROJECT, serve
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder
from dait.storage.paths import ASSETS
from dait.study.memory import MEBIBYTE

SHIPPED = ASSETS / "runs" / "demo"


def measure_app() -> dict[str, float]:
    """Seconds from ``python app.py`` to its first answer, and its memory then and after warm-up."""
    script = PROJECT / "app.py"
    with tempfile.TemporaryDirectory() as folder, serve(script, Path(folder)) as served:
        at_once = _memory(served.process.pid)
        time.sleep(30)  # the page imports what it needs in the background
        return {
            "app_answers_s": served.seconds,
            "app_memory_mib": at_once,
            "app_memory_warm_mib": _memory(served.process.pid),
        }


def measure_heatmap_row(repeats: int = 5) -> dict[str, float]:
    """Median seconds of one image's heatmaps under all networks of the shipped study, warm."""
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


def _memory(pid: int) -> float:
    """Resident memory of a process and its children, in MiB; 0 when it has just ended."""
    try:
        process = psutil.Process(pid)
        family: list[Any] = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family) / MEBIBYTE
    except psutil.NoSuchProcess:
        return 0.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench demo`` and its options."""
    parser.description = (
        "Start the app until it answers, explain one image under all networks of the "
        "shipped study, and run the three-arm demo study from an empty cache."
    )
    parser.add_argument(
        "--study-epochs", type=int, metavar="N", help="fewer epochs than the recipe's; 0: no study"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print each figure as it is measured."""
    print_figures(figures := measure_app())
    print_figures(row := measure_heatmap_row())
    figures |= row
    if args.study_epochs != 0:
        print_figures(study := measure_study(epochs=args.study_epochs))
        figures |= study
    return print_end(figures, args.json)
