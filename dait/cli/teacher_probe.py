"""``python -m dait teacher probe``: what a frozen teacher knows, and what its students still do."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from torch import nn

from dait.cli.table import print_lines, table
from dait.data.sources.registry import open_dataset
from dait.distributed import device
from dait.errors import UserError
from dait.evaluation.records import read_study
from dait.evaluation.results.probes import ProbeResults, Proportion, Reading
from dait.events import Emit
from dait.evidence.probes.measure import measure_study, measure_teacher
from dait.runs.data import open_data_of
from dait.runs.folder import StudyFolder
from dait.runs.sinks import TerminalSink
from dait.storage.paths import study_folder
from dait.teachers.registry import load_teacher


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``probe`` and its options."""
    parser.description = (
        "Measure what a frozen teacher knows without training (zero-shot, retrieval, "
        "attributes) and what a linear probe reads from its features; with --study also from every "
        "network of a finished study. Results are kept and not measured twice."
    )
    parser.add_argument("teacher", metavar="TEACHER", help="say fieldguide-clip, imagenet-lite0")
    parser.add_argument(
        "--data", metavar="NAME_OR_FOLDER", help="which images (default: fieldguide)"
    )
    parser.add_argument("--size", type=int, metavar="N", help="side of the images (default: 96)")
    parser.add_argument(
        "--study",
        type=study_folder,
        metavar="DIR",
        help="a finished study of this teacher: its data, its networks; kept in its knowledge.json",
    )
    parser.add_argument(
        "--teacher-size", type=int, metavar="N", help="side at which a timm teacher sees the images"
    )
    parser.add_argument("--pairs", type=int, default=1000, help="new birds to draw (default: 1000)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, or read what was measured before, and print it."""
    if not 10 <= args.pairs <= 100_000:
        raise UserError(f"--pairs wants 10 to 100000 new birds, not {args.pairs}.")
    if args.study and (args.data or args.size or args.teacher_size):
        raise UserError(
            "A study brings its own data and sizes: leave out --data, --size and --teacher-size."
        )
    with closing(TerminalSink()) as terminal:
        found = _of_study(args, terminal) if args.study else _alone(args, terminal)
    if args.json:
        print(found.model_dump_json())
    else:
        print_lines(_lines(found))
    return 0


def _alone(args: argparse.Namespace, emit: Emit) -> ProbeResults:
    # First, so that a missing teacher is reported before a data set is read.
    teacher = _teacher(args.teacher, args.teacher_size, emit)
    data = open_dataset(args.data or "fieldguide", size=args.size or 96, emit=emit)
    return measure_teacher(teacher, data, emit, args.pairs)


def _of_study(args: argparse.Namespace, emit: Emit) -> ProbeResults:
    study = StudyFolder(args.study)
    recipe = read_study(study).recipe
    teacher = _teacher(args.teacher, recipe.teacher.image_size, emit)
    return measure_study(study, teacher, open_data_of(args.study, recipe, emit), emit, args.pairs)


def _teacher(name: str, image_size: int | None, emit: Emit) -> Any:
    teacher = load_teacher(name, image_size, emit)
    return teacher.to(device()) if isinstance(teacher, nn.Module) else teacher


def _lines(found: ProbeResults) -> list[str]:
    shot = found.zero_shot
    lines = [
        f"{found.teacher} on {found.data}, {shot.top1.count} {shot.split} images",
        f"zero-shot    top-1 {_text(shot.top1)}, top-5 {_text(shot.top5)}, "
        f"chance {1 / shot.classes:.1%} and {min(1.0, 5 / shot.classes):.1%}",
    ]
    if found.retrieval is not None:
        pairs = found.retrieval
        for name, shares in (
            ("image → caption", pairs.image_to_text),
            ("caption → image", pairs.text_to_image),
        ):
            lines.append(
                f"{name}  R@1 {_text(shares[1])}, R@5 {_text(shares[5])} of {pairs.pairs} new pairs"
            )
        lines.append(f"{pairs.unambiguous:.1%} of the captions fit one image alone")
    if found.attributes is not None:
        cells = [
            [
                row.name,
                f"{_text(row.species.accuracy)} ({row.species.majority:.1%})",
                f"{_text(row.birds.accuracy)} ({row.chance:.1%})",
            ]
            for row in found.attributes
        ]
        lines += table(
            cells, ("attribute", "named on test images (majority)", "on new birds (chance)")
        )
    lines.append("linear probes on the test images")
    for network in found.networks:
        seed = "" if network.seed is None else f", seed {network.seed}"
        lines.append(f"  {network.title}{seed} ({network.width} features)")
        lines += table(map(_reading, network.readings), indent=4)
    return lines


def _reading(reading: Reading) -> list[str]:
    return [
        f"{reading.target} (from {reading.fitted_to})",
        f"{_text(reading.accuracy)}; majority {reading.majority:.1%}, "
        f"chance {reading.chance:.1%}, C {reading.cost:g}",
    ]


def _text(share: Proportion) -> str:
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
