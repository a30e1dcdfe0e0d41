"""``python -m dait bench``: measure, and print what was measured."""

from __future__ import annotations

import argparse
import json
from typing import Any

from dait.cli import bench_app, bench_cache, bench_explain, bench_report, bench_train
from dait.errors import UserError


def register(commands: Any) -> None:
    """Add every benchmark to the commands."""
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

    data: argparse.ArgumentParser = actions.add_parser(
        "data",
        help="images a second drawn, decoded, and read from the store; memory",
        description="Draw images of the Field Guide; then compare an epoch that decodes JPEGs with "
        "one that reads them from the store, in shuffled batches of 64.",
    )
    data.add_argument(
        "--data", metavar="NAME_OR_PATH", help="image files to read (default: drawn JPEGs)"
    )
    data.add_argument("--size", type=int, default=128, help="pixels a side (default: %(default)s)")
    data.add_argument(
        "--entries",
        type=int,
        metavar="N",
        help="instead: memory and seconds of a data set of N entries that repeat a few files",
    )
    data.add_argument("--json", action="store_true", help="end with one line of JSON")
    data.set_defaults(run=run_data)

    bench_app.register(actions)
    bench_cache.register(actions)
    bench_train.register(actions)
    bench_explain.register(actions)
    bench_report.register(actions)


def run_demo(args: argparse.Namespace) -> int:
    """Print each figure as it is measured."""
    from benchmarks.demo import measure_app, measure_heatmap_row, measure_study

    figures: dict[str, float] = {}
    for measure in (measure_app, measure_heatmap_row):
        figures |= _print(measure())
    if args.study_epochs != 0:
        figures |= _print(measure_study(epochs=args.study_epochs))
    if args.json:
        print(json.dumps(figures))
    return 0


def run_data(args: argparse.Namespace) -> int:
    """Print each figure as it is measured; raises ``UserError`` for data that has no files."""
    from benchmarks.data import measure_entries, measure_files, measure_generate

    if args.entries is not None:
        if args.entries < 16:
            raise UserError(f"--entries is 16 or more, not {args.entries}.")
        figures = _print(measure_entries(args.entries, args.size))
    else:
        figures = _print(measure_files(args.data, args.size))
        figures |= _print(measure_generate(args.size))
    if args.json:
        print(json.dumps(figures))
    return 0


def _print(figures: dict[str, float]) -> dict[str, float]:
    for name, value in figures.items():
        print(f"{name:<24}{value:>12.2f}", flush=True)
    return figures
