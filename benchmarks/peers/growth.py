"""How time and memory grow: against images, classes, image size, studies in a folder, points."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.config import AppConfig
from app.studies.entries import own_studies
from benchmarks.data import measure_entries
from benchmarks.output import add_json_option, print_end
from benchmarks.peers.pairs import machine
from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.evaluation.confusion import most_confused
from dait.evaluation.features.projection import tsne
from dait.evaluation.features.similarity import class_similarity, intra_inter, knn_accuracy
from dait.evaluation.metrics import evaluate_logits
from dait.runs.folder import RunsRoot
from dait.storage.paths import ASSETS
from dait.study.memory import MEBIBYTE, peak_memory_bytes

DEMO = ASSETS / "runs" / "demo"
Measured = dict[str, float]


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Of a line through the logarithms, by least squares: 1 where time grows as the work does."""
    x, y = np.log(sizes), np.log(seconds)
    return float(np.polyfit(x, y, 1)[0])


def of_studies(count: int, state: str = "stopped") -> Measured:
    """Listing studies of three runs each: at the start of the app, and at every later poll."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            _copy_study(Path(folder) / f"own-{number:05d}", state, started=1e9 + number)
        config = AppConfig(RunsRoot(folder))
        before = time.process_time()
        own_studies(config)
        first = time.process_time() - before
        return {"first": first, "poll": _seconds(lambda: own_studies(config))}


def of_classes(classes: int, images: int = 5000) -> Measured:
    """A run's figures, similarities of classes and the pairs most confused, of so many images."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % classes
    logits = rng.normal(size=(images, classes)).astype(np.float32)
    features = rng.normal(size=(images, 64)).astype(np.float32)
    return {
        "evaluate": _seconds(lambda: evaluate_logits(logits, labels)),
        "class_similarity": _seconds(lambda: class_similarity(features, labels, classes)),
        "intra_inter": _seconds(lambda: intra_inter(features, labels)),
        "most_confused": _seconds(lambda: most_confused(logits, labels)),
    }


def of_points(points: int) -> Measured:
    """The t-SNE map (up to 3,000 points), and neighbours, of features of 128 numbers."""
    rng = np.random.default_rng(0)
    labels = np.arange(points) % 40
    features = (rng.normal(size=(40, 128))[labels] + rng.normal(size=(points, 128))).astype("f4")
    figures = {"neighbours": _seconds(lambda: knn_accuracy(features, labels))}
    if points <= 3000:
        figures["tsne"] = _seconds(lambda: tsne({"network": features}, 30, seed=0))
    return figures


def of_images(images: int) -> Measured:
    """Opening a data set, building its store of 64-pixel images, opening it again, an epoch."""
    figures = measure_entries(images, 64)
    return {name: figures[name] for name in ("open_s", "build_s", "reopen_s", "epoch_store_s")}


def of_size(side: int) -> Measured:
    """A view of 32 images of ``side`` pixels."""
    stored = np.random.default_rng(0).integers(0, 256, (32, side, side, 3), dtype=np.uint8)
    index = np.arange(32)
    return {
        kind: _seconds(partial(view_batch, stored, index, 0, ViewPolicy(kind)), least=3)
        for kind in ("light", "full")  # type: ignore[misc]
    }


AXES: dict[str, tuple[Callable[[int], Measured], tuple[int, ...]]] = {
    "studies": (of_studies, (10, 100, 1000)),
    "classes": (of_classes, (10, 100, 1000)),
    "points": (of_points, (300, 1000, 3000)),
    "images": (of_images, (1000, 10_000, 100_000)),
    "size": (of_size, (64, 128, 256, 512)),
}


def measure_growth(axis: str, sizes: Sequence[int]) -> dict[str, Any]:
    """Processor seconds at every size, the slope of each figure, and the most memory so far."""
    measure, _ = AXES[axis]
    found: dict[str, dict[int, float]] = {}
    memory: dict[int, float] = {}
    for size in sizes:
        for name, seconds in measure(size).items():
            found.setdefault(name, {})[size] = seconds
        memory[size] = peak_memory_bytes() / MEBIBYTE
    slopes: dict[str, float] = {}
    for name, at in found.items():
        shown = "".join(f"{size:>9,}:{seconds:>9.4f} s" for size, seconds in at.items())
        slopes[name] = slope(list(at), list(at.values())) if len(at) > 1 else math.nan
        print(f"{axis:<9}{name:<18}{shown}   slope {slopes[name]:.2f}", flush=True)
    print(f"{axis:<9}{'peak MiB':<18}" + "".join(f"{s:>9,}:{m:>9.0f}  " for s, m in memory.items()))
    return {"seconds": found, "slopes": slopes, "peak_mib": memory}


def _copy_study(folder: Path, state: str, started: float) -> None:
    """The shipped study's first three runs, without what a list does not read."""
    described = json.loads((DEMO / "study.json").read_text(encoding="utf-8"))
    described["runs"] = described["runs"][:3]
    status = json.loads((DEMO / "status.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(described), encoding="utf-8")
    (folder / "status.json").write_text(
        json.dumps(status | {"state": state, "started": started}), encoding="utf-8"
    )
    for row in described["runs"]:
        name = row.get("dir", f"{row['arm']}-s{row['seed']}")
        (folder / name).mkdir()
        shutil.copyfile(DEMO / name / "result.json", folder / name / "result.json")


def _seconds(work: Callable[[], Any], least: int = 1) -> float:
    """Of processors, the fastest of ``least`` times; of a tenth of a second at least in all."""
    best, spent, times = math.inf, 0.0, 0
    while times < least or spent < 0.1:
        before = time.process_time()
        work()
        seconds = time.process_time() - before
        best, spent, times = min(best, seconds), spent + seconds, times + 1
        if seconds > 1 and times >= 1:
            break
    return max(best, 1e-6)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``growth`` and its options."""
    parser.description = "Processor seconds at growing sizes, and the slope of their logarithms."
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument(
        "--sizes", nargs="+", type=int, metavar="N", help="of one axis, instead of its own"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line for every figure."""
    torch.set_num_threads(1)
    figures = {axis: measure_growth(axis, args.sizes or AXES[axis][1]) for axis in args.axes}
    return print_end(figures | machine(), args.json)
