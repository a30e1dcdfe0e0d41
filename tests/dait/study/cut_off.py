"""A command line that is cut off, and what two studies have in common."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from dait.cli import main
from dait.runs.folder import StudyFolder
from dait.study.lock import LOCK

TIMES = ("seconds", "images_per_second")


def limited(words: list[str], largest_file: int) -> int:
    """``python -m dait`` that can write no file of more bytes, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    return main(words)


def whole(path: Path) -> dict[str, Any]:
    """What a study must come to, whether or not it was cut off on the way."""
    folder = StudyFolder(path)
    found: dict[str, Any] = {"state": folder.state()}
    measured = {"seconds", "latency_ms", "versions"}
    for run in folder.runs():
        result = run.result() or {}
        for between in result.get("between", {}).values():
            between.pop("latency_ms")
        result.pop("intermediate", None)
        found[run.path.name] = {
            "state": run.state(),
            # A lock's file may stay, held by nobody, of a process killed after its last word.
            "files": sorted({str(p.relative_to(run.path)) for p in run.path.rglob("*")} - {LOCK}),
            "metrics": without_times(run.metrics()),
            "result": {key: value for key, value in result.items() if key not in measured},
            "weights": {file.name: file.read_bytes() for file in run.path.rglob("*.safetensors")},
            "predictions": run.predictions.read_bytes(),
        }
    return found


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]
