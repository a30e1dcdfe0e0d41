"""``python -m dait localise``: do the networks of a study look at the object, and at its marks?"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from dait.cli.resume import add_moved_options, keep_moved_data
from dait.cli.table import print_lines, table
from dait.config.arms import arm_title
from dait.errors import UserError
from dait.evaluation.networks import stored_networks
from dait.evaluation.results.localisation import (
    FIGURES,
    ArmDifference,
    ArmLocalisation,
    Measurement,
    Settings,
)
from dait.evidence.localisation.measure import measure
from dait.runs.data import open_data_of
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.paths import study_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``localise`` and its options."""
    parser.description = (
        "Explains a fixed sample of the test split by every network whose weights are "
        "in the folder, and measures the raw maps by masks or boxes: the share of the relevance on "
        "the object and, in the Field Guide, on the parts that tell a species from its family, "
        "each beside the share of the image that these take up; pointing game; relevance rank "
        "accuracy; and by ROAD, whether the answer hangs on what a map marks. Averages over each "
        "arm with 95 % intervals, and paired differences of arms. Kept in the folder's "
        "localisation.json and localisation.npz, and not measured twice. (What can still be read "
        "of the habitat from a network: teacher probe --study.)"
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=study_folder,
        metavar="STUDY_OR_RUN",
        help="the folder of a study, all its seeds, or of a run",
    )
    parser.add_argument(
        "--method",
        metavar="NAME",
        help="gradcam, gradcam++, hirescam, layercam, eigencam or finercam (default: gradcam for "
        "feature maps, layercam for transformers)",
    )
    parser.add_argument(
        "--target",
        choices=("true", "predicted"),
        default="true",
        help="the class to explain (default: the true one, the same question to every network)",
    )
    parser.add_argument(
        "--images", type=int, default=500, metavar="N", help="of the test split (default: 500)"
    )
    parser.add_argument(
        "--road",
        type=int,
        default=100,
        metavar="N",
        help="images to measure by ROAD, the slowest part; 0: none (default: 100)",
    )
    add_moved_options(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, or read what was measured before, and print it."""
    if args.images < 2:
        raise UserError(f"--images is a number from 2, not {args.images}.")
    if args.road < 0:
        raise UserError(f"--road is a number from 0, not {args.road}.")
    keep_moved_data(args, args.folders)
    settings = Settings(
        method=args.method, target=args.target, images=args.images, road_images=args.road
    )
    found = {}
    with closing(TerminalSink()) as terminal:
        for folder in args.folders:
            explained = stored_networks(folder)
            data = open_data_of(folder, explained.recipe, terminal)
            found[str(folder)] = measurement = measure(explained, data, settings, terminal)
            print_lines(_lines(folder, measurement))
    if args.json:
        print(to_json({name: m.model_dump(mode="json") for name, m in found.items()}))
    return 0


def _lines(folder: Path, found: Measurement) -> list[str]:
    words = {"true": "their true class", "predicted": "what each network predicts"}
    lines = [f"{folder}: {found.sample} test images, {words[found.settings.target]}"]
    for name, title in FIGURES.items():
        if not any(name in arm.estimates for arm in found.arms):
            continue
        area = {"mass": found.area, "part_mass": found.part_area}.get(name)
        beside = "" if area is None else f" (share of the image: {area.value:.1%})"
        lines.append(f"{title}{beside}")
        arms = [_arm(arm, name) for arm in found.arms if name in arm.estimates]
        lines += table(arms, indent=2)
        lines += [f"  {_difference(d, name)}" for d in found.differences if name in d.estimates]
    counts = [f"{arm.title} {arm.empty}" for arm in found.arms if arm.empty]
    if counts:
        lines.append(f"empty maps, left out: {', '.join(counts)}")
    return lines


def _arm(arm: ArmLocalisation, name: str) -> list[str]:
    estimate, seeds = arm.estimates[name], arm.by_seed[name]
    each = [f"{value:.1%}" for value in seeds if value is not None]
    apart = f"; seeds {', '.join(each)}" if len(each) > 1 else ""
    interval = f"({estimate.low:.1%} to {estimate.high:.1%})"
    return [arm.title, f"{estimate.value:.1%}", interval, f"{arm.method}{apart}"]


def _difference(difference: ArmDifference, name: str) -> str:
    estimate = difference.estimates[name]
    pair = f"{arm_title(difference.first)} − {arm_title(difference.second)}"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{pair}: {100 * estimate.value:+.1f} points ({low:+.1f} to {high:+.1f})"
