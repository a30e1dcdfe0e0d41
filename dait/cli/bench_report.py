"""``python -m dait bench report``: what the report on the shipped study costs."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any


def register(actions: Any) -> None:
    """Add it to the benchmarks."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "report",
        help="the report on the shipped study",
        description="Make the report on a copy of the shipped demo study, localisation included.",
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_report)


def run_report(args: argparse.Namespace) -> int:
    """Print the figures."""
    from benchmarks.report import measure_report

    figures = measure_report()
    print(f"{'seconds':<24}{figures['seconds']:>12.1f}")
    print(f"{'megabytes':<24}{figures['megabytes']:>12.1f}")
    if figures["load"] > (os.cpu_count() or 1):
        print("the machine is busy with other work: it takes less on an idle one")
    if args.json:
        print(json.dumps(figures))
    return 0
