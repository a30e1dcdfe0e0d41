"""``python -m dait train``: one arm, one seed."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from dait.cli.options import add_recipe_options, chosen_recipe
from dait.cli.study import parse_seeds
from dait.config.arms import ARMS
from dait.runs import to_json


def register(commands: Any) -> None:
    """Add ``train`` to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train one arm with one seed",
        description="Train one arm of a recipe with one seed. The folder is a study of one run.",
    )
    add_recipe_options(parser)
    parser.add_argument("--arm", choices=ARMS, default="dait", help="what to train (default: dait)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and print the run's result."""
    (seed,) = parse_seeds(str(args.seed))
    recipe = chosen_recipe(args)
    out = Path(args.out or f"runs/{recipe.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    from dait.sinks import TerminalSink
    from dait.study import run_study

    with closing(TerminalSink()) as terminal:
        result = run_study(recipe, [args.arm], [seed], out, terminal)[0]
    folder = out / f"{args.arm}-s{seed}"
    if args.json:
        print(to_json(result | {"dir": str(folder)}))
    else:
        print(f"{folder}: top-1 {result['top1']:.1%} on {result['n_test']} test images")
    return 0
