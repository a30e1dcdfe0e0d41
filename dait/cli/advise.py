"""``python -m dait advise``: which arms are worth training on some data, before training any."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from dait.api import advise
from dait.cli.options import parse_settings
from dait.cli.table import print_lines, table
from dait.errors import UserError
from dait.evaluation.advice import Advice, score
from dait.evaluation.regimes import MAP, read_rows, summarize
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.paths import absolute


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
    rows = absolute(args.map) if args.map else MAP
    if args.score:
        held_out = summarize(read_rows(absolute(args.score)))
        right, count = score(held_out, summarize(read_rows(rows)))
        print(to_json({"right": right, "regimes": count}) if args.json else f"{right} of {count}")
        return 0
    if args.data is None:
        raise UserError("Name the data: a folder of images, or a data set's name.")
    with closing(TerminalSink()) as terminal:
        settings = parse_settings(args.set)
        found = advise(args.data, args.recipe, settings=settings, regimes=rows, emit=terminal)
    if args.json:
        print(to_json(_facts(found)))
        return 0
    print_lines(_lines(found))
    return 0


def _facts(advice: Advice) -> dict[str, Any]:
    return {
        "recommended": list(advice.recommended),
        "expected": {arm: [round(v, 4) for v in found] for arm, found in advice.expected.items()},
        "seconds": round(advice.seconds or 0),
        "why": advice.why,
        "distance": round(advice.distance, 3),
        "measured": advice.measured.model_dump(),
    }


def _lines(advice: Advice) -> list[str]:
    rows = [
        [
            arm,
            f"{low:.0%} to {high:.0%}",
            "recommended" if arm in advice.recommended else "",
        ]
        for arm, (low, high) in advice.expected.items()
    ]
    seconds = advice.seconds or 0
    minutes = f"about {seconds / 60:.0f} minutes" if seconds >= 90 else f"about {seconds:.0f} s"
    return [
        f"Train {' or '.join(advice.recommended)}: {minutes} for one seed here.",
        advice.why,
        *table([["arm", "expected test top-1", ""], *rows]),
    ]
