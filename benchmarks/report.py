"""What the report on the shipped study costs."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.output import add_json_option, print_end, print_figures
from dait.evidence.report.build import make_report
from dait.storage.paths import ASSETS

DEMO = ASSETS / "runs" / "demo"


def measure_report() -> dict[str, float]:
    """``seconds`` of the whole report on a copy of the shipped demo study, and ``megabytes``.

    Nothing is kept in the copy beyond what is shipped, so where the networks look is measured too;
    images are drawn once and then lie in the cache. ``load`` is the machine's before it began.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        study = Path(shutil.copytree(DEMO, Path(folder) / "demo"))
        started = time.perf_counter()
        page = make_report([study]).html
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "megabytes": len(page.encode()) / 1e6, "load": load}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench report`` and its options."""
    parser.description = (
        "Make the report on a copy of the shipped demo study, localisation included."
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the figures."""
    print_figures(figures := measure_report())
    return print_end(figures, args.json, "it takes less on an idle one")
