"""``python -m dait teacher eval``: how well a frozen teacher classifies without any training."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing

from dait.data.sources.registry import open_dataset
from dait.evaluation.frozen_teacher import measure_teacher
from dait.runs.sinks import TerminalSink
from dait.teachers.prompts import Prompts
from dait.teachers.registry import load_teacher


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``eval`` and its options."""
    parser.description = (
        "Measure a frozen teacher on a split: against its class texts, or, where it "
        "reads no text, against the means of the training images. The figures are kept, and shown "
        "by `teacher list`."
    )
    parser.add_argument("teacher", metavar="TEACHER", help="say fieldguide-clip, imagenet-lite0")
    parser.add_argument("--data", default="fieldguide", metavar="NAME_OR_FOLDER")
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    parser.add_argument(
        "--template",
        action="append",
        metavar="TEXT",
        help="a sentence with {} for the class's name, beside the data set's own descriptions; "
        "openai and simple stand for CLIP's own; may be given several times",
    )
    parser.add_argument(
        "--teacher-size", type=int, metavar="N", help="side at which a timm teacher sees the images"
    )
    parser.add_argument("--size", type=int, default=96, help="side of the images in pixels")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print top-1 and top-5 of the frozen teacher, and keep them."""
    prompts = Prompts(templates=tuple(args.template)) if args.template else None
    with closing(TerminalSink()) as terminal:
        # First, so that a missing teacher is reported before a data set is read.
        teacher = load_teacher(args.teacher, args.teacher_size, terminal)
        data = open_dataset(args.data, size=args.size, emit=terminal)
        found = measure_teacher(teacher, data, args.split, prompts, called=args.data, emit=terminal)
    figures = found.figures
    low, high = figures["top1_interval"]
    for warning in found.prototypes.warnings:
        print(f"! {warning}", file=sys.stderr if args.json else sys.stdout)
    if args.json:
        summary = {"teacher": teacher.name, "data": args.data, "split": args.split}
        counted = {"interval": [low, high], "n": figures["n_test"]}
        warned = {"warnings": list(found.prototypes.warnings)}
        print(json.dumps({**summary, **figures, **counted, **warned}))
    else:
        print(
            f"{teacher.name} on {figures['n_test']} {args.split} images of {args.data}: "
            f"top-1 {figures['top1']:.1%} (95 % interval {low:.1%} to {high:.1%}), "
            f"top-5 {figures['top5']:.1%} (chance {1 / len(data.classes):.1%})"
        )
    return 0
