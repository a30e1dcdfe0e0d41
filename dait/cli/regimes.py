"""``python -m dait regimes``: train every arm under teachers of several strengths."""

from __future__ import annotations

import argparse
from contextlib import closing

from dait.cli.table import print_lines, table
from dait.evaluation.regimes import RegimeSummary, summarize
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.paths import ASSETS, absolute
from dait.study.regimes import load_plan, run_regimes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``regimes`` and its options."""
    parser.description = (
        "Train every arm under frozen teachers of several strengths, with and without unlabelled "
        "images, for students of several sizes: the map of where each arm wins. It is resumed "
        "where it is there. To share the work, start several processes on the same DIR."
    )
    parser.add_argument(
        "plan",
        metavar="PLAN",
        nargs="?",
        default=str(ASSETS / "regimes" / "plan.yaml"),
        help="a .yaml file (default: that of the map that comes along)",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write, or resume")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train what is missing, and print every regime. Raises UserError."""
    plan = load_plan(absolute(args.plan))
    with closing(TerminalSink()) as terminal:
        rows = run_regimes(plan, absolute(args.out), terminal)
    print_lines(_lines(summarize(rows)))
    if args.json:
        print(to_json({"out": args.out, "rows": [row.model_dump() for row in rows]}))
    return 0


def _lines(summaries: list[RegimeSummary]) -> list[str]:
    """A line for each regime: what was measured before, and each arm's mean."""
    arms = list(dict.fromkeys(arm for found in summaries for arm in found.top1))
    head = ["condition", "teacher", "student", "zero-shot", "probe", *arms]
    cells = [
        [
            found.condition,
            found.teacher,
            found.student,
            f"{found.measured.zero_shot:.1%}",
            f"{found.measured.probe:.1%}",
            *(f"{found.top1[arm]:.1%}" if arm in found.top1 else "" for arm in arms),
        ]
        for found in summaries
    ]
    return table(cells, head)
