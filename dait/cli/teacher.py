"""``python -m dait teacher``: find and measure frozen teachers, train the demo teacher again."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace
from typing import Any

from dait.cli import teacher_eval, teacher_list, teacher_probe
from dait.storage.paths import absolute


def register(commands: Any) -> None:
    """Add ``teacher`` with its actions to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "teacher",
        help="find, download and measure frozen teachers, or train the demo teacher",
        description="List the frozen teachers there are, download their weights, measure what they "
        "know without any training, or train the demo teacher fieldguide-clip again.",
    )
    actions: Any = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    teacher_list.register(actions)
    teacher_eval.register(actions)
    _register_pretrain(actions)
    teacher_probe.register(actions)


def _register_pretrain(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser(
        "pretrain", help="train fieldguide-clip from nothing (about an hour on two cores)"
    )
    parser.add_argument(
        "--recipe",
        default="assets/fieldguide-clip/recipe.yaml",
        metavar="FILE",
        help="a .yaml file",
    )
    parser.add_argument(
        "--caption-detail",
        type=float,
        metavar="SHARE",
        help="share of captions that name single parts, 0 to 1; the others say what a glance sees "
        "(default: the recipe's)",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write, or go on in")
    parser.set_defaults(run=run_pretrain)


def run_pretrain(args: argparse.Namespace) -> int:
    """Train the demo teacher."""
    from dait.runs.sinks import TerminalSink
    from pretraining.teacher import load_pretrain_recipe, pretrain

    recipe = load_pretrain_recipe(absolute(args.recipe))
    if args.caption_detail is not None:
        recipe = replace(recipe, caption_detail=args.caption_detail)
    with closing(TerminalSink()) as terminal:
        pretrain(recipe, absolute(args.out), terminal)
    return 0
