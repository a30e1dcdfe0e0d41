"""``python -m dait teacher eval``: how well a frozen teacher classifies without any training."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing

from dait.data.sources.registry import open_dataset
from dait.evaluation.metrics import evaluate_logits
from dait.runs.sinks import TerminalSink
from dait.teachers.embedding import embed_split
from dait.teachers.prompts import Prompts
from dait.teachers.registry import load_teacher, prototypes_of
from dait.teachers.zero_shot_figures import remember_zero_shot


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
        prototypes = prototypes_of(teacher, data, prompts)
        split = data.split(args.split)
        logits = embed_split(teacher, split.images) @ prototypes.vectors.T
        logits = (prototypes.logit_scale * logits).float().cpu()
        figures = evaluate_logits(logits.numpy(), split.labels, split.slices)
    remember_zero_shot(
        teacher,
        data,
        args.split,
        figures,
        called=args.data,
        prompts=prompts,
        warnings=prototypes.warnings,
    )
    low, high = figures["top1_interval"]
    for warning in prototypes.warnings:
        print(f"! {warning}", file=sys.stderr if args.json else sys.stdout)
    if args.json:
        summary = {"teacher": teacher.name, "data": args.data, "split": args.split}
        counted = {"interval": [low, high], "n": figures["n_test"]}
        warned = {"warnings": list(prototypes.warnings)}
        print(json.dumps({**summary, **figures, **counted, **warned}))
    else:
        print(
            f"{teacher.name} on {len(split)} {args.split} images of {args.data}: "
            f"top-1 {figures['top1']:.1%} (95 % interval {low:.1%} to {high:.1%}), "
            f"top-5 {figures['top5']:.1%} (chance {1 / len(data.classes):.1%})"
        )
    return 0
