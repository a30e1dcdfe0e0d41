"""``python -m dait estimate``: what a study will cost, before it is trained."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from dait.cli.options import add_recipe_options, chosen_recipe
from dait.cli.study import add_run_options, parse_arms, parse_seeds
from dait.cli.table import print_lines, table
from dait.events import Event, Progress
from dait.runs.folder import to_json
from dait.study.estimate import CostEstimate, estimate


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``estimate`` and its options."""
    parser.description = (
        "Trains some steps of every arm on random images of the data's shapes, and "
        "multiplies. Takes seconds an arm; trains, downloads and writes nothing. Not in it: "
        "reading or drawing the images for the first time, downloads, and the t-SNE maps."
    )
    add_recipe_options(parser)
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the estimate, and what it was measured on."""
    arms, seeds, recipe = parse_arms(args.arms), parse_seeds(args.seeds), chosen_recipe(args)
    found = estimate(recipe, arms, seeds, _tell)
    if args.json:
        print(to_json(asdict(found)))
        return 0
    print_lines(_lines(found, len(seeds)))
    return 0


def _tell(event: Event) -> None:
    if isinstance(event, Progress):
        print(f"{event.what} ({event.done} of {event.total})", file=sys.stderr, flush=True)


def _lines(found: CostEstimate, seeds: int) -> list[str]:
    arms = table(
        ([arm, f"{_time(seconds)} a seed"] for arm, seconds in found.arm_seconds.items()), indent=2
    )
    teacher = "not on this machine, so its time is not in it"
    if found.teacher_seconds is not None:
        teacher = _time(found.teacher_seconds)
    return [
        f"time    about {_time(found.seconds)} for {seeds} seed{'s' if seeds > 1 else ''}",
        *arms,
        f"  frozen teacher: {teacher}",
        f"disk    {_size(found.study_bytes)} kept, {_size(found.working_bytes)} more while it "
        f"trains, {_size(found.cache_bytes)} in the cache",
        f"memory  {_size(found.memory_bytes)} ({found.device})",
        f"An estimate, from at most {found.steps} steps of each stage with batches of "
        f"{found.batch} images of {found.size} px, {found.threads} threads, load {found.load:.1f}.",
    ]


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes >= 1e7 else f"{size_bytes / 1e6:.1f} MB"
