"""``python -m dait bench``: measure, and print what was measured."""

from __future__ import annotations

import argparse
import json
from typing import Any


def register(commands: Any) -> None:
    """Add ``bench demo`` to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "bench", help="measure speed and memory on this machine", description="Print measurements."
    )
    actions: Any = parser.add_subparsers(title="benchmarks", metavar="NAME", required=True)
    demo: argparse.ArgumentParser = actions.add_parser(
        "demo",
        help="start-up of the app, a heatmap row, the demo study, memory",
        description="Start the app until it answers, explain one image under all networks of the "
        "shipped study, and run the three-arm demo study from an empty cache.",
    )
    demo.add_argument(
        "--study-epochs", type=int, metavar="N", help="fewer epochs than the recipe's; 0: no study"
    )
    demo.add_argument("--json", action="store_true", help="end with one line of JSON")
    demo.set_defaults(run=run_demo)


def run_demo(args: argparse.Namespace) -> int:
    """Print each figure as it is measured."""
    from dait.bench.demo import measure_app, measure_heatmap_row, measure_study

    figures: dict[str, float] = {}
    for measure in (measure_app, measure_heatmap_row):
        figures |= _print(measure())
    if args.study_epochs != 0:
        figures |= _print(measure_study(epochs=args.study_epochs))
    if args.json:
        print(json.dumps(figures))
    return 0


def _print(figures: dict[str, float]) -> dict[str, float]:
    for name, value in figures.items():
        print(f"{name:<24}{value:>12.2f}", flush=True)
    return figures
