"""``python -m dait study``: several arms and seeds of one recipe."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from dait.cli.options import add_recipe_options, chosen_recipe
from dait.config.arms import ARMS, Arm
from dait.errors import UserError
from dait.runs import to_json


def register(commands: Any) -> None:
    """Add ``study`` to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "study",
        help="train several arms and seeds of one recipe and compare them",
        description="Train every arm for every seed under one recipe. The study's folder holds a "
        "run folder for each; open it in the app's Compare tab, or with `explain` and `predict`.",
    )
    add_recipe_options(parser)
    parser.add_argument(
        "--arms",
        default="independent,direct,dait",
        metavar="A,B",
        help=f"arms, separated by commas, out of {', '.join(ARMS)} (default: all three)",
    )
    parser.add_argument(
        "--seeds", default="0", metavar="N,M", help="random seeds, separated by commas (default: 0)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the study; the exit code is 0 only if every run finished."""
    arms = parse_arms(args.arms)
    seeds = parse_seeds(args.seeds)
    recipe = chosen_recipe(args)
    out = Path(args.out or f"runs/{recipe.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    from dait.sinks import TerminalSink
    from dait.study import run_study

    with closing(TerminalSink()) as terminal:
        results = run_study(recipe, arms, seeds, out, terminal)
    rows = [row | {"dir": str(out / f"{row['arm']}-s{row['seed']}")} for row in results]
    if args.json:
        print(to_json({"study": str(out), "runs": rows}))
    else:
        print(f"{out}: {len(rows)} runs finished")
        for row in rows:
            low, high = row["top1_interval"]
            print(
                f"  {row['arm']:<12} seed {row['seed']}  top-1 {row['top1']:.1%} "
                f"({low:.1%} to {high:.1%} on {row['n_test']} test images)"
            )
    return 0


def parse_arms(text: str) -> list[Arm]:
    """``"direct,dait"`` → arms, in that order, each once. Raises UserError."""
    arms: list[Arm] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in ARMS:
            raise UserError(f"There is no arm called {name!r}. Known: {', '.join(ARMS)}.")
        arms += [arm for arm in ARMS if arm == name and arm not in arms]
    if not arms:
        raise UserError(f"Name at least one arm, out of {', '.join(ARMS)}.")
    return arms


def parse_seeds(text: str) -> list[int]:
    """``"0,1,2"`` → numbers, each once. Raises UserError."""
    try:
        seeds = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UserError(f"Seeds are whole numbers separated by commas, not {text!r}.") from None
    if not seeds or min(seeds) < 0 or max(seeds) > 2**31:
        raise UserError(f"Seeds are whole numbers from 0 to 2147483648; found {text!r}.")
    return list(dict.fromkeys(seeds))
