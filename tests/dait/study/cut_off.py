"""The command line as a process that can be killed, and what two studies have in common."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import dait
from dait.runs.folder import StudyFolder
from dait.study.lock import LOCK

PROJECT = Path(dait.__file__).parents[1]
TIMES = ("seconds", "images_per_second")
PRELOADED = ["cut_off", "dait.study.train", "timm", "open_clip", "sklearn"]
"""What a process that is to be killed has imported already when it starts."""


def command(words: list[str], says: str, largest_file: int | None = None) -> None:
    """``python -m dait`` in a process of its own, whose stderr goes to the file ``says``.

    largest_file: bytes; a write beyond it fails half way, as on a full disk.
    """
    import torch

    from dait.cli import main

    torch.set_num_threads(1)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    with Path(says).open("w") as stderr:
        sys.stderr = stderr
        sys.exit(main(words))


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def cli(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """``python -m dait`` as a user starts it, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "dait", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=500,
        env=environment() | more,
        cwd=PROJECT,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    settings: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return settings


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
