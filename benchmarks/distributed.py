"""One training by several processes, and a study's runs on Ray: how much of each is gained."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.output import add_json_option, print_end, print_figure
from benchmarks.serving import PROJECT
from dait.errors import UserError
from dait.runs.folder import RunFolder
from dait.storage.processors import processors

STUDY = ("--arms", "independent,direct", "--seeds", "0,1,2,3")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench distributed`` and its options."""
    parser.description = (
        "Train one network by 1, 2, ... processes that talk through gloo, and a study of eight "
        "runs one after the other and on Ray; one thread each, seconds of the clock. Efficiency: "
        "the gain over the first number divided by the processors that are used."
    )
    parser.add_argument("--recipe", default="demo", metavar="NAME", help="default: demo")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4], metavar="N")
    parser.add_argument("--epochs", type=int, default=4, metavar="N", help="default: 4")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of Ray; 0: without it")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print. Raises UserError with the last lines of a training that failed."""
    if args.epochs < 2:
        raise UserError(
            "--epochs is a number from 2: the first epoch of a training is not counted."
        )
    figures: dict[str, float] = {}

    def found(name: str, value: float) -> None:
        figures[name] = value
        print_figure(name, value)

    found("processors", float(processors()))
    with tempfile.TemporaryDirectory() as folder:
        place, first = Path(folder), None
        for number in args.processes:
            speed = images_a_second(place, number, args)
            found(f"gloo_{number}_images_s", speed)
            first = first or speed / number
            found(f"gloo_{number}_efficiency", speed / first / min(number, processors()))
        if args.workers:
            # What both studies find in the cache: the images, and what the frozen teacher says.
            arm = ["--arm", "direct", "--epochs", str(args.epochs), "--out", str(place / "first")]
            _run(place, ["-m", "dait", "train", args.recipe, *arm])
            found("here_s", study_seconds(place, "here", args))
            found("ray_s", study_seconds(place, "ray", args))
            used = min(args.workers, processors())
            found("ray_efficiency", figures["here_s"] / figures["ray_s"] / used)
    return print_end(figures, args.json)


def images_a_second(place: Path, processes: int, args: argparse.Namespace) -> float:
    """Of all processes together: the median of the epochs after the first."""
    out = place / f"by-{processes}"
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    words = ["train", args.recipe, "--arm", "independent", "--epochs", str(args.epochs)]
    _run(place, [*launcher, "-m", "dait", *words, "--out", str(out)])
    lines = (RunFolder(out / "independent-s0").path / "metrics.jsonl").read_text().splitlines()
    return statistics.median(json.loads(line)["images_per_second"] for line in lines[1:])


def study_seconds(place: Path, executor: str, args: argparse.Namespace) -> float:
    """Of a study of eight runs, Ray's own start included; images and embeddings are kept."""
    share = f"{processors() / args.workers:g}"
    words = ["--executor", executor, *(["--cpus-per-run", share] if executor == "ray" else [])]
    out = ["--epochs", str(args.epochs), "--out", str(place / executor)]
    start = time.perf_counter()
    _run(place, ["-m", "dait", "study", args.recipe, *STUDY, *words, *out])
    return time.perf_counter() - start


def _run(place: Path, words: list[str]) -> None:
    environment = os.environ | {
        "DAIT_CACHE": str(place / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-500:]}")
