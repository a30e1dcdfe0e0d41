"""``python -m dait evaluate``: the figures of runs on a split, alone and against one another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dait.cli.resume import add_moved_options, keep_moved_data
from dait.cli.table import print_lines, table
from dait.data.base import SPLITS
from dait.data.sources.catalogue import absolute_source
from dait.errors import UserError
from dait.evaluation.arms import DIRECT, arm_named, arms_as_json, group_by_arm
from dait.evaluation.elsewhere import evaluate_elsewhere
from dait.evaluation.evaluate import evaluate_run
from dait.evaluation.runs import EvaluatedRun, details_as_json, run_as_json
from dait.runs.data import open_data, recipe_of, runs_in
from dait.runs.folder import to_json
from dait.runs.sinks import TerminalSink
from dait.storage.files import write_atomically
from dait.storage.paths import absolute, study_folder

SHOWN = 5
"""Pairs and classes that are printed; the JSON has all."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``evaluate`` and its options."""
    parser.description = (
        "Prints the figures of a run on a split. Of several runs, also means over "
        "seeds, McNemar's test between arms on the same images, and gains class by class. The "
        "predictions are kept in the run's folder (predictions.npz, predictions-val.npz, ...), so "
        "that nothing is computed twice. A run of a study that cannot be evaluated is named and "
        "left out."
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=study_folder,
        metavar="RUN",
        help="the folder of a run, or of a study (all its runs)",
    )
    parser.add_argument("--split", default="test", choices=SPLITS, help="default: %(default)s")
    parser.add_argument(
        "--against",
        metavar="ARM",
        help="the arm that gains are counted from (default: direct, where it is there)",
    )
    parser.add_argument("--out", type=absolute, metavar="FILE.json", help="also write the JSON")
    parser.add_argument(
        "--on",
        metavar="NAME_OR_FOLDER",
        help="instead of a split, every labelled image of another data set; classes are matched by "
        "name, and nothing is kept",
    )
    add_moved_options(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print and write. Raises ``UserError`` where nothing can be evaluated."""
    keep_moved_data(args, args.folders)
    if args.on is not None:
        return _elsewhere(args)
    found, left_out, alone = _evaluated(args)
    if alone:
        if args.against is not None:
            raise UserError("--against compares arms, and there is one run only; name others too.")
        (one,) = found
        line: dict[str, Any] = {**run_as_json(one), **details_as_json(one)}
        _print_run(line)
    else:
        line = _together(found, left_out, args)
        _print_arms(line)
    if args.out is not None:
        write_atomically(args.out, to_json(line, indent=1) + "\n")
        print(f"Written: {args.out}")
    if args.json:
        print(to_json(line))
    return 0


def _elsewhere(args: argparse.Namespace) -> int:
    rows = []
    with closing(TerminalSink()) as terminal:
        for folder in args.folders:
            for one in runs_in(folder):
                source = {"data.source": absolute_source(args.on), "data.labelled_per_class": None}
                data = open_data(recipe_of(one).changed(source), terminal)
                found = evaluate_elsewhere(one, data, terminal)
                rows.append({"run": str(one.path), "on": args.on, **asdict(found)})
    print_lines(
        table(
            [
                [
                    Path(row["run"]).name,
                    f"top-1 {row['figures']['top1']:.1%}",
                    f"{row['images']:,} images of {row['classes']} of {row['of']} classes",
                    f"{row['unknown']:,} of unknown classes left out" if row["unknown"] else "",
                ]
                for row in rows
            ]
        )
    )
    if args.out is not None:
        write_atomically(args.out, to_json({"runs": rows}, indent=1) + "\n")
        print(f"Written: {args.out}")
    if args.json:
        print(to_json({"runs": rows}))
    return 0


def _evaluated(args: argparse.Namespace) -> tuple[list[EvaluatedRun], list[dict[str, str]], bool]:
    """The runs, those that are left out and why, and whether one run alone was asked for."""
    found: list[EvaluatedRun] = []
    left_out: list[dict[str, str]] = []
    seen: set[Path] = set()
    with closing(TerminalSink()) as terminal:
        for folder in args.folders:
            for one in runs_in(folder):
                if one.path.resolve() in seen:
                    continue
                seen.add(one.path.resolve())
                try:
                    found.append(evaluate_run(one, args.split, terminal))
                except UserError as error:
                    if one.path == folder:  # asked for by name
                        raise
                    left_out.append({"run": str(one.path), "reason": str(error)})
                    print(f"dait: without {one.path.name}: {error}", file=sys.stderr)
    if not found:
        raise UserError(f"None of the {len(seen)} runs can be evaluated on the {args.split} split.")
    return found, left_out, len(seen) == 1


def _together(
    found: list[EvaluatedRun], left_out: list[dict[str, str]], args: argparse.Namespace
) -> dict[str, Any]:
    groups = group_by_arm(found)
    name = args.against
    if name is None and len(groups) > 1 and DIRECT in [group.name for group in groups]:
        name = DIRECT
    against = None if name is None else arm_named(groups, name)
    return {
        "split": args.split,
        "runs": [run_as_json(one) for one in found],
        **arms_as_json(groups, against),
        "left_out": left_out,
    }


def _print_run(line: Mapping[str, Any]) -> None:
    low, high = line["top1_interval"] or (None, None)
    interval = "" if low is None else f" (95% interval {low:.1%} to {high:.1%})"
    print(
        f"{line['run']}: {line['arm']}, seed {line['seed']}, {line['n']:,} {line['split']} images"
    )
    figures = [("top-1", f"{line['top1']:.1%}{interval}")]
    figures += [
        (title, f"{line[name]:.1%}") for name, title in _TITLES.items() if line[name] is not None
    ]
    figures += [
        (f"top-1 of its {role}", f"{own['top1']:.1%}") for role, own in line["between"].items()
    ]
    print_lines(table(figures, indent=2))
    for name, values in line["slices"].items():
        print(f"  by {name}: " + ", ".join(f"{value} {top1:.1%}" for value, top1 in values.items()))
    if line["missing"]:
        print(f"  {line['missing']}")
    for pair in (line["confused"] or [])[:SHOWN]:
        print(
            f"  {pair['label']['name']} taken for {pair['predicted']['name']}: {pair['count']} "
            f"({pair['share']:.0%}), say {', '.join(pair['examples'][:3])}"
        )


_TITLES = {
    "top5": "top-5",
    "mean_per_class": "mean per class",
    "macro_f1": "macro-F1",
    "ece": "ECE",
}


def _print_arms(line: Mapping[str, Any]) -> None:
    runs = line["runs"]
    print(f"{len(runs)} runs on {runs[0]['n']:,} {line['split']} images")
    cells = []
    for name, own in line["arms"].items():
        figures = [
            f"{title} {_spread(own[key])}"
            for key, title in {"top1": "top-1", **_TITLES}.items()
            if own[key] is not None
        ]
        seeds = ", ".join(map(str, own["seeds"]))
        cells.append([name, f"{', '.join(figures)} (seed {seeds})"])
    print_lines(table(cells, indent=2))
    for test in line["mcnemar"]:
        print(
            f"  {test['a']} over {test['b']}, seed {test['seed']}: "
            f"{100 * test['gain']:+.1f} points, {test['only_a']} against {test['only_b']} images, "
            f"McNemar p = {test['p']:.2g}"
        )
    gains = line["gains"]
    for name, own in gains["arms"].items() if gains is not None else ():
        rows = sorted(own["per_class"] or [], key=lambda row: -row["gain"])
        for title, part in (("most", rows[:SHOWN]), ("least", rows[: -SHOWN - 1 : -1])):
            if part:
                summary = ", ".join(f"{row['name']} {100 * row['gain']:+.1f}" for row in part)
                print(f"  {name} over {gains['against']}, gains {title}: {summary}")


def _spread(value: Mapping[str, float | None]) -> str:
    sd = value["sd"]
    return f"{value['mean']:.1%}" + ("" if sd is None else f" ± {100 * sd:.1f}")
