"""``python -m dait backbone``: pretrain a recipe's network on attributes of invented birds."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from dait.config.recipe import load_recipe
from dait.runs.folder import to_json
from dait.storage.paths import absolute

BIRDS, FAMILY, MARKS = 32_000, 8, 3


def register(commands: Any) -> None:
    """Add ``backbone`` to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "backbone",
        help="pretrain a student or intermediate teacher on invented birds",
        description="Train a network of a recipe to name every attribute of invented birds, none "
        "of them a species of the Field Guide. A recipe starts from the file by "
        "`student.weights` or `intermediate.weights`.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="whose network, at whose image size")
    parser.add_argument("--network", choices=("student", "intermediate"), default="student")
    parser.add_argument("--birds", type=int, default=BIRDS, metavar="N", help=f"default: {BIRDS:,}")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--out", required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and print what it sees on held-out birds. Raises UserError."""
    from dait.data.fieldguide.invented import InventedBirds
    from dait.runs.sinks import TerminalSink
    from pretraining.backbone import BackboneTraining, pretrain_backbone

    recipe = load_recipe(args.recipe)
    spec = recipe.student if args.network == "student" else recipe.intermediate
    birds = InventedBirds(args.birds, FAMILY, MARKS, recipe.data.size, seed=0)
    training = BackboneTraining(birds, epochs=args.epochs, seed=args.seed)
    with closing(TerminalSink()) as terminal:
        shares = pretrain_backbone(spec, training, absolute(args.out), terminal)
    for name, share in shares.items():
        print(f"{name:<14}{share:>8.1%}")
    if args.json:
        print(to_json({"file": args.out, "held_out": shares}))
    return 0
