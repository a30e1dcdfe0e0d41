"""``python -m dait bench explain``: what heatmaps cost beside bare passes."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from dait.errors import UserError


def register(actions: Any) -> None:
    """Add it to the benchmarks."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "explain",
        help="a heatmap row of five networks, over a forward and backward pass of each",
        description="Explain one image of 224 pixels by five networks with random weights, and run "
        "each forward and backward once, in turn; print the ratio. Then judge the heatmaps of "
        "many images in batches and one by one.",
    )
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="pairs (default: 9)")
    parser.add_argument(
        "--images", type=int, default=64, metavar="N", help="to localise (default: 64)"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_explain)


def run_explain(args: argparse.Namespace) -> int:
    """Print the figures and what they were measured with."""
    from benchmarks.explain import measure_explain

    for name in ("rounds", "images"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} is a number from 1, not {getattr(args, name)}.")
    figures = measure_explain(args.rounds, args.images)
    for name in ("ratio", "ratio_cpu", "row_s"):
        print(f"{name:<24}{figures[name]:>12.3f}")
    for name in ("batched", "one_by_one"):
        print(f"{name + ' images/s':<24}{figures[name]:>12.1f}")
    print(f"networks {', '.join(figures['networks'])}; {figures['threads']} threads")
    if figures["load"] > (os.cpu_count() or 1):
        print("the machine is busy with other work: believe ratio_cpu")
    if args.json:
        print(json.dumps(figures))
    return 0
