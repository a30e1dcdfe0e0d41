"""What the report on the shipped study costs."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from dait.evidence.report.build import make_report

DEMO = Path(__file__).resolve().parents[1] / "assets" / "runs" / "demo"


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
