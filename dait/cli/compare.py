"""``python -m dait compare``: a report on studies and runs, one page that needs nothing else."""

from __future__ import annotations

import argparse
import time
from contextlib import closing

from dait.cli.resume import add_moved_options, keep_moved_data
from dait.errors import UserError
from dait.evidence.report.build import IMAGES, make_report
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.files import write_atomically
from dait.storage.paths import absolute, study_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``compare`` and its options."""
    parser.description = (
        "Writes one page with everything that is known of studies and runs: accuracy "
        "with intervals and tests, gains by class, confusions, reliability, heatmaps, "
        "localisation, t-SNE, similarities, costs, learning curves, recipes and commands. It needs "
        "no network and no other file. What is kept in the folders is read, the rest is computed "
        "once and kept; what cannot be had costs a sentence."
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=study_folder,
        metavar="STUDY_OR_RUN",
        help="the folder of a study, or of a run",
    )
    parser.add_argument("--out", type=absolute, required=True, metavar="FILE.html", help="the page")
    parser.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="test images to explain under every network of a study (default: 8)",
    )
    parser.add_argument(
        "--against",
        metavar="ARM",
        help="the arm that gains are counted from (default: direct, where it is there)",
    )
    add_moved_options(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the report and write it. Raises ``UserError`` where there is nothing to report."""
    if args.images is not None and args.images < 1:
        raise UserError(f"--images is a number from 1, not {args.images}.")
    keep_moved_data(args, args.folders)
    started = time.perf_counter()
    with closing(TerminalSink()) as terminal:
        report = make_report(args.folders, args.against, args.images or IMAGES, terminal)
    write_atomically(args.out, report.html)
    seconds = time.perf_counter() - started
    print(f"Written: {args.out} ({len(report.html) / 1e6:.1f} MB, {seconds:.0f} s)")
    if args.json:
        print(to_json({"out": str(args.out), "seconds": seconds, **report.figures}))
    return 0
