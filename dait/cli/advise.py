"""``python -m dait advise``: which arms are worth training on some data, before training any."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from dait.cli.options import parse_settings
from dait.cli.table import print_lines, table
from dait.config.arms import Arm
from dait.config.recipe import Recipe, load_recipe
from dait.data.sources.catalogue import absolute_source
from dait.errors import UserError
from dait.evaluation.advice import Advice, advise, score
from dait.evaluation.regimes import MAP, read_rows, summarize
from dait.events import Emit
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.paths import absolute
from dait.study.context import prepare
from dait.study.estimate import estimate
from dait.study.regimes import measure

DRAWN, PHOTOGRAPHS = "few-labels", "photos"
"""Recipes that advice is for, where none is named."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``advise`` and its options."""
    parser.description = (
        "Measure what the frozen teacher and the student's start weights know of the data, look "
        "for the nearest regimes of the map, and say which arms are worth training, what to "
        "expect and how long it takes. Trains nothing; the test split is not read."
    )
    parser.add_argument("data", metavar="DATA", nargs="?", help="a data set's name, or a folder")
    parser.add_argument(
        "--recipe", metavar="RECIPE", help="networks and teacher (default: photos; few-labels)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe"
    )
    parser.add_argument("--map", metavar="FILE", help="rows of `regimes` (default: those bundled)")
    parser.add_argument(
        "--score",
        metavar="FILE",
        help="instead: how often the first choice is within 2 points of the best arm, in the "
        "regimes of FILE, which the map was not made of",
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the advice. Raises UserError."""
    regimes = summarize(read_rows(absolute(args.map) if args.map else MAP))
    if args.score:
        right, count = score(summarize(read_rows(absolute(args.score))), regimes)
        print(to_json({"right": right, "regimes": count}) if args.json else f"{right} of {count}")
        return 0
    if args.data is None:
        raise UserError("Name the data: a folder of images, or a data set's name.")
    with closing(TerminalSink()) as terminal:
        recipe = _recipe(args)
        found = measure(
            prepare(recipe, terminal, "val"), {"student": recipe.student}, emit=terminal
        )
        advice = advise(found["student"], regimes)
        seconds = _seconds(recipe, advice, terminal)
    if args.json:
        print(to_json(_facts(advice, seconds) | {"measured": found["student"].model_dump()}))
        return 0
    print_lines(_lines(advice, seconds))
    return 0


def _recipe(args: argparse.Namespace) -> Recipe:
    name = args.recipe or (DRAWN if args.data == "fieldguide" else PHOTOGRAPHS)
    source = {"data.source": absolute_source(args.data)}
    return load_recipe(name).changed({**parse_settings(args.set), **source})


def _seconds(recipe: Recipe, advice: Advice, emit: Emit) -> float:
    """Of one seed of the recommended arms."""
    arms: Any = advice.recommended
    chosen: tuple[Arm, ...] = arms
    return estimate(recipe, chosen, [0], emit).seconds


def _facts(advice: Advice, seconds: float) -> dict[str, Any]:
    return {
        "recommended": list(advice.recommended),
        "expected": {arm: [round(v, 4) for v in found] for arm, found in advice.expected.items()},
        "seconds": round(seconds),
        "why": advice.why,
        "distance": round(advice.distance, 3),
    }


def _lines(advice: Advice, seconds: float) -> list[str]:
    rows = [
        [
            arm,
            f"{low:.0%} to {high:.0%}",
            "recommended" if arm in advice.recommended else "",
        ]
        for arm, (low, high) in advice.expected.items()
    ]
    minutes = f"about {seconds / 60:.0f} minutes" if seconds >= 90 else f"about {seconds:.0f} s"
    return [
        f"Train {' or '.join(advice.recommended)}: {minutes} for one seed here.",
        advice.why,
        *table([["arm", "expected test top-1", ""], *rows]),
    ]
