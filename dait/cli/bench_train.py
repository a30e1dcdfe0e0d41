"""``python -m dait bench train``: what the training loop costs beside a bare one."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from dait.config.recipe import recipe_names
from dait.errors import UserError


def register(actions: Any) -> None:
    """Add it to the benchmarks."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "train",
        help="throughput of the training loop, over a bare loop of the same networks; memory",
        description="Train each stage with the real loop, and with a loop that does forward, "
        "backward and step on one batch in memory, in turn; print the ratio of their throughputs "
        "and the most memory that each stage takes.",
    )
    parser.add_argument(
        "--recipe",
        default="demo",
        metavar="RECIPE",
        help=f"{', '.join(recipe_names())} or a .yaml file, for its networks and views "
        "(default: demo)",
    )
    parser.add_argument("--batch", type=int, metavar="N", help="instead of the recipe's")
    parser.add_argument(
        "--steps", type=int, default=12, metavar="N", help="of an epoch (default: 12)"
    )
    parser.add_argument(
        "--rounds", type=int, default=9, metavar="N", help="epochs of each loop (default: 9)"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda", "mps"), help="default: this machine's accelerator"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_train)


def run_train(args: argparse.Namespace) -> int:
    """Print each ratio as soon as it is measured, and what it was measured with."""
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before anything of CUDA is asked
    from benchmarks.train import measure_train
    from dait.distributed import device

    if args.device not in (None, device().type):
        raise UserError(f"This machine trains on {device().type}, not on {args.device}.")
    for name in ("steps", "rounds"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} is a number from 1, not {getattr(args, name)}.")

    def tell(name: str, value: float) -> None:
        print(f"{name:<24}{value:>12,.3f}", flush=True)

    figures = measure_train(args.recipe, args.batch, args.steps, args.rounds, tell)
    keys = ("recipe", "batch", "size", "views", "views_stage2", "device", "threads", "load")
    print(", ".join(f"{key} {figures[key]}" for key in keys))
    if figures["load"] > (os.cpu_count() or 1):
        print("the machine is busy with other work: believe the figures that end in _cpu")
    if args.json:
        print(json.dumps(figures))
    return 0
