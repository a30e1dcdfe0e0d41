"""Stage 2 of DAIT with the intermediate teacher in every step, and with its outputs kept."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.output import add_json_option, print_end, require_positive
from benchmarks.peers.pairs import Seconds, machine, print_pairs
from benchmarks.stand_ins import Noise, untrained_task
from dait.config.recipe import Recipe, load_recipe
from dait.events import EpochDone, Event
from dait.models.cost import count_macs
from dait.models.network import build_network
from dait.training import teacher_outputs
from dait.training.loop import train_stage
from dait.training.views import StagePosition

CLASSES, WIDTH = 40, 192


def later_epochs(recipe: Recipe, images: int, kept: bool) -> list[Seconds]:
    """Of the epochs that show views again, two views of each image; ``kept``: outputs held."""
    most = teacher_outputs.MOST_BYTES
    teacher_outputs.MOST_BYTES = most if kept else 0
    found: list[Seconds] = []
    wall, processor = time.perf_counter(), time.process_time()

    def emit(event: Event) -> None:
        nonlocal wall, processor
        if isinstance(event, EpochDone):
            now, used = time.perf_counter(), time.process_time()
            found.append(Seconds(now - wall, used - processor))
            wall, processor = time.perf_counter(), time.process_time()

    try:
        with tempfile.TemporaryDirectory() as folder:
            framing = recipe.data.framing
            data = Noise(images, 4, framing.size, Path(folder), CLASSES, framing)
            torch.manual_seed(0)
            task = untrained_task("dait", "student", recipe, CLASSES, recipe.data.size, WIDTH)
            stage = StagePosition(1, 2, 6, seed=0, distinct_views=2)
            train_stage(task, data, recipe.train, stage, None, emit)
    finally:
        teacher_outputs.MOST_BYTES = most
    return found[2:]


def allowed(recipe: Recipe) -> float:
    """What the multiply-adds allow: (teacher + 3 student) / 3 student; backward counts twice."""
    student, teacher = (
        count_macs(build_network(spec, CLASSES, recipe.data.size))
        for spec in (recipe.student, recipe.intermediate)
    )
    return (teacher + 3 * student) / (3 * student)


def measure_outputs(recipe: Recipe, images: int, rounds: int) -> dict[str, Any]:
    """Later epochs' seconds with outputs kept and not, in turn, and what could be won."""
    found: dict[str, list[Seconds]] = {"kept": [], "in every step": []}
    for _ in range(rounds):
        for name, seconds in found.items():
            epochs = later_epochs(recipe, images, name == "kept")
            seconds.append(
                Seconds(median(e.wall for e in epochs), median(e.processor for e in epochs))
            )
    figures = print_pairs(found, "kept") | {"allowed": allowed(recipe)}
    print(f"the multiply-adds allow × {figures['allowed']:.2f}")
    return figures


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``pipeline`` and its options."""
    parser.description = (
        "Epochs of DAIT's second stage that show views again, with the intermediate teacher's "
        "outputs kept and computed anew, in turn. `python -m dait bench cache` does the same for "
        "the frozen teacher."
    )
    parser.add_argument("--recipes", nargs="+", default=["demo"], metavar="R", help="default: demo")
    parser.add_argument("--images", type=int, default=256, metavar="N", help="default: 256")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the figures of every recipe."""
    require_positive(args, "images", "rounds")
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    for name in args.recipes:
        print(name)
        figures[name] = measure_outputs(load_recipe(name), args.images, args.rounds)
    return print_end(figures | machine(), args.json, "rely on processor seconds")
