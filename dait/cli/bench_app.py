"""``python -m dait bench app``: what a visitor of the page waits for."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from dait.errors import UserError

MOST_CLIENTS, LONGEST_SECONDS = 128, 600
"""A load test stays one: of this machine alone, and for minutes."""


def register(actions: Any) -> None:
    """Add it to the benchmarks."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "app",
        help="the app in a real browser: start, first view, another view, a row of heatmaps",
        description="Start the app and a bare Gradio page in turn, open the app in Chromium, and "
        "time what a visitor waits for. Needs Playwright and Chromium.",
    )
    parser.add_argument(
        "--starts", type=int, default=5, metavar="N", help="of each server (default: %(default)s)"
    )
    parser.add_argument(
        "--clients",
        type=int,
        metavar="N",
        help="instead, without a browser: what N programs that ask /predict at once wait for",
    )
    parser.add_argument(
        "--seconds", type=float, default=60, metavar="S", help="of --clients (default: 60)"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_app)


def run_app(args: argparse.Namespace) -> int:
    """Print each figure as it is measured."""
    from benchmarks.app import measure_app
    from benchmarks.load import measure_load

    if args.starts < 1:
        raise UserError(f"--starts is a number from 1, not {args.starts}.")
    if args.clients is not None and not 0 < args.clients <= MOST_CLIENTS:
        raise UserError(f"--clients is a number from 1 to {MOST_CLIENTS}, not {args.clients}.")
    if not 0 < args.seconds <= LONGEST_SECONDS:
        raise UserError(f"--seconds is at most {LONGEST_SECONDS}, not {args.seconds:g}.")

    def tell(name: str, value: float) -> None:
        print(f"{name:<24}{value:>12.2f}", flush=True)

    if args.clients is None:
        figures = measure_app(args.starts, tell=tell)
    else:
        figures = measure_load(args.clients, args.seconds, tell)
    if figures["load"] > (os.cpu_count() or 1):
        print("the machine is busy with other work: believe the ratio")
    if args.json:
        print(json.dumps(figures))
    return 0
