"""``python -m dait teacher``: measure a frozen teacher, or train the demo teacher again."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from dait.cli import teacher_probe


def register(commands: Any) -> None:
    """Add ``teacher eval``, ``pretrain`` and ``probe`` to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "teacher",
        help="measure a frozen teacher, or train the demo teacher",
        description="Measure how well a frozen teacher classifies without any training, or train "
        "the demo teacher fieldguide-clip again.",
    )
    actions: Any = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_eval(actions)
    _register_pretrain(actions)
    teacher_probe.register(actions)


def _register_eval(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser(
        "eval", help="zero-shot (or class-mean) accuracy of a teacher on a data set"
    )
    parser.add_argument("teacher", metavar="TEACHER", help="say fieldguide-clip, imagenet-lite0")
    parser.add_argument("--data", default="fieldguide", metavar="NAME_OR_FOLDER")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    parser.add_argument(
        "--teacher-size", type=int, metavar="N", help="side at which a timm teacher sees the images"
    )
    parser.add_argument("--size", type=int, default=96, help="side of the images in pixels")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_eval)


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
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write, or go on in")
    parser.set_defaults(run=run_pretrain)


def run_eval(args: argparse.Namespace) -> int:
    """Print top-1 and top-5 of the frozen teacher."""
    from dait.data.registry import open_dataset
    from dait.pipeline import evaluate
    from dait.sinks import TerminalSink
    from dait.teachers.registry import embed_split, load_teacher, prototypes_of

    with closing(TerminalSink()) as terminal:
        data = open_dataset(args.data, size=args.size, emit=terminal)
        teacher = load_teacher(args.teacher, args.teacher_size)
        prototypes = prototypes_of(teacher, data)
        split = data.split(args.split)
        logits = embed_split(teacher, split.images) @ prototypes.vectors.T
        figures = evaluate(prototypes.logit_scale * logits, split.labels, split.slices)
    if args.json:
        summary = {"teacher": teacher.name, "data": args.data, "split": args.split}
        print(json.dumps({**summary, **figures, "n": figures["n_test"]}))
    else:
        print(
            f"{teacher.name} on {len(split)} {args.split} images of {args.data}: "
            f"top-1 {figures['top1']:.1%}, top-5 {figures['top5']:.1%} "
            f"(chance {1 / len(data.classes):.1%})"
        )
    return 0


def run_pretrain(args: argparse.Namespace) -> int:
    """Train the demo teacher."""
    from dait.sinks import TerminalSink
    from dait.teachers.pretrain import load_pretrain_recipe, pretrain

    recipe = load_pretrain_recipe(Path(args.recipe))
    with closing(TerminalSink()) as terminal:
        pretrain(recipe, Path(args.out), terminal)
    return 0
