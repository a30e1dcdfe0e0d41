"""``python -m dait backbone`` and ``teacher pretrain``, from a clone of the project."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace

from dait.cli.table import print_lines, table
from dait.config.recipe import load_recipe
from dait.data.fieldguide.invented import InventedBirds
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.paths import absolute
from pretraining.backbone import BackboneTraining, pretrain_backbone
from pretraining.recipe import load_pretrain_recipe
from pretraining.teacher import pretrain

BIRDS, FAMILY, MARKS = 32_000, 8, 3


def add_backbone_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``backbone`` and its options."""
    parser.description = (
        "Train a network of a recipe to name every attribute of invented birds, none "
        "of them a species of the Field Guide. A recipe starts from the file by "
        "`student.weights` or `intermediate.weights`."
    )
    parser.add_argument("recipe", metavar="RECIPE", help="whose network, at whose image size")
    parser.add_argument("--network", choices=("student", "intermediate"), default="student")
    parser.add_argument("--birds", type=int, default=BIRDS, metavar="N", help=f"default: {BIRDS:,}")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument(
        "--attributes",
        metavar="A,B",
        help="name these attributes alone, say shape,back (default: all twelve)",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_backbone)


def run_backbone(args: argparse.Namespace) -> int:
    """Train, and print the accuracy on held-out birds, by attribute. Raises ``UserError``."""
    recipe = load_recipe(args.recipe)
    spec = recipe.student if args.network == "student" else recipe.intermediate
    birds = InventedBirds(args.birds, FAMILY, MARKS, recipe.data.size, seed=0)
    chosen = tuple(args.attributes.split(",")) if args.attributes else ()
    training = BackboneTraining(birds, epochs=args.epochs, seed=args.seed, attributes=chosen)
    with closing(TerminalSink()) as terminal:
        shares = pretrain_backbone(spec, training, absolute(args.out), terminal)
    print_lines(table((name, f"{share:.1%}") for name, share in shares.items()))
    if args.json:
        print(to_json({"file": args.out, "held_out": shares}))
    return 0


def add_teacher_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``teacher pretrain`` and its options."""
    parser.description = "Train the demo teacher fieldguide-clip again, or resume that."
    parser.add_argument(
        "--recipe",
        default="assets/fieldguide-clip/recipe.yaml",
        metavar="FILE",
        help="a .yaml file (default: %(default)s)",
    )
    parser.add_argument(
        "--caption-detail",
        type=float,
        metavar="SHARE",
        help="share of captions that name single parts, 0 to 1; the others say what a glance sees "
        "(default: the recipe's)",
    )
    parser.add_argument(
        "--keep-every",
        type=int,
        default=0,
        metavar="N",
        help="write the model of every N steps too, to DIR/step-N (default: only the last)",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder to write, or to resume in"
    )
    parser.set_defaults(run=run_teacher)


def run_teacher(args: argparse.Namespace) -> int:
    """Train the demo teacher."""
    recipe = load_pretrain_recipe(absolute(args.recipe))
    if args.caption_detail is not None:
        recipe = replace(recipe, caption_detail=args.caption_detail)
    with closing(TerminalSink()) as terminal:
        pretrain(recipe, absolute(args.out), terminal, args.keep_every)
    return 0
