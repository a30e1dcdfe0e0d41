"""``python -m dait predict``: what the networks of a study, or of one run, see in photographs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dait.api import load_study, predict
from dait.cli.table import print_lines, table
from dait.data.images.decode import BadImage
from dait.errors import UserError
from dait.evidence.heatmaps.row import NetworkRow
from dait.evidence.prediction_tables import predictions_csv
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.files import write_atomically
from dait.storage.paths import absolute, study_folder

MANY = 10
"""From this many photographs on there is a progress bar."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``predict`` and its options."""
    parser.description = (
        "Names the most probable classes of each photograph, by every network of a "
        "study or of a run. A photograph that cannot be read is reported, and the others are "
        "predicted; the exit code is then 2."
    )
    parser.add_argument(
        "folder",
        type=study_folder,
        metavar="RUN_OR_STUDY",
        help="the folder of a finished study (all its networks), or of a run",
    )
    parser.add_argument(
        "--image", type=Path, nargs="+", required=True, metavar="FILE", help="the photographs"
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="classes to name (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="which seed of a study")
    parser.add_argument("--csv", type=absolute, metavar="FILE", help="also write a table")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predict, print and write; 2 if a photograph could not be read, ``UserError`` if none."""
    if args.top < 1:
        raise UserError(f"--top is a number of classes, at least 1, not {args.top}.")
    row = load_study(args.folder, args.seed)
    for key, sentence in row.load().items():
        print(f"dait: without {key}: {sentence}", file=sys.stderr)
    with closing(TerminalSink()) as terminal:
        row.measure_familiarity(terminal)
    seen, problems = _predict(row, args.image, args.top)
    for image in seen:
        print(image["image"])
        rows = [(one["network"], _words(one["top"], one["unlike"])) for one in image["networks"]]
        print_lines(table(rows, indent=2))
    if args.csv is not None:
        write_atomically(args.csv, predictions_csv(seen))
        print(f"Written: {args.csv}")
    if args.json:
        print(to_json({"folder": args.folder, "images": seen, "problems": problems}))
    return 2 if problems else 0


def _predict(
    row: NetworkRow, files: list[Path], top: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A mapping for each photograph, and one for each that cannot be read, reported at once."""
    seen: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    hidden = len(files) < MANY or not sys.stderr.isatty()
    for file in tqdm(files, "Predicting photographs", unit="image", disable=hidden):
        try:
            seen += predict(row, [file], top)
        except BadImage as error:
            if len(files) == 1:
                raise
            problems.append({"image": file, "reason": error.reason})
            tqdm.write(f"dait: {error}", file=sys.stderr)
            continue
    if not seen:
        raise UserError(f"None of the {len(files)} photographs can be read.")
    return seen, problems


def _words(top: list[Mapping[str, Any]], unlike: bool | None) -> str:
    named = ", ".join(f"{found['name']} {found['probability']:.1%}" for found in top)
    return f"{named} (the photograph is unlike anything it was trained on)" if unlike else named
