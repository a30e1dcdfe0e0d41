"""``python -m dait sweep``: try settings on the validation split."""

from __future__ import annotations

import argparse
import statistics
from contextlib import closing
from typing import Any

from dait.cli.options import add_recipe_options, chosen_recipe
from dait.cli.study import parse_arms, parse_seeds
from dait.cli.table import print_lines, table
from dait.errors import UserError
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.files import parse_yaml
from dait.storage.paths import absolute
from dait.study.sweep import grid, one_factor_at_a_time, run_sweep


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``sweep`` and its options."""
    parser.description = (
        "Train arms under a recipe as it is and with one key changed at a time (or in "
        "every combination), and compare on the validation split; the test split is not read. "
        "Every setting tried stays in DIR/sweep.jsonl; what is there is not run again."
    )
    add_recipe_options(parser)
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=[A,B]",
        help="values to try, say direct.feature_weight=[0,1,5] (may be repeated)",
    )
    parser.add_argument("--grid", action="store_true", help="every combination of values")
    parser.add_argument("--arms", default="independent,direct,dait", metavar="A,B")
    parser.add_argument("--seeds", default="100", metavar="N,M", help="default: 100")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run what is missing, and print every setting's mean. Raises UserError."""
    recipe = chosen_recipe(args)
    if args.out is None:
        raise UserError("A sweep is written down: name its folder with --out DIR.")
    varied = dict(_varied(item) for item in args.vary)
    settings = grid(varied) if args.grid else one_factor_at_a_time(varied)
    arms, seeds = parse_arms(args.arms), parse_seeds(args.seeds)
    with closing(TerminalSink()) as terminal:
        rows = run_sweep(recipe, settings, arms, seeds, absolute(args.out), terminal)
    print_lines(_table(rows))
    if args.json:
        print(to_json({"out": args.out, "rows": rows}))
    return 0


def _varied(item: str) -> tuple[str, list[Any]]:
    key, equals, text = item.partition("=")
    try:
        values = parse_yaml(text, aliases=True)
    except ValueError:
        values = None
    if not equals or not isinstance(values, list) or not values:
        raise UserError(f"--vary wants KEY=[A,B], say train.epochs=[10,20], not {item!r}.")
    return key, values


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each setting and arm, best first within an arm."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        said = ", ".join(f"{key}={value}" for key, value in row["setting"].items()) or "as it is"
        groups.setdefault((row["arm"], said), []).append(row)
    cells = []
    for (arm, said), found in sorted(groups.items(), key=lambda g: (g[0][0], -_mean(g[1]))):
        taught = [row["intermediate_top1"] for row in found]
        by = f"taught by {statistics.mean(taught):.1%}" if None not in taught else ""
        cells.append([arm, f"{_mean(found):.1%}", f"({len(found)} seeds)", by, said])
    return table(cells)


def _mean(rows: list[dict[str, Any]]) -> float:
    return statistics.mean(row["top1"] for row in rows)
