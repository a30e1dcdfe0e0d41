"""``python -m dait data check``: the report on a data set, as text and as one line of JSON."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import replace

from dait.cli.table import paragraph, print_lines, table
from dait.data.base import SPLITS
from dait.data.inspection.report import ClassCount, DataReport, report
from dait.data.sources.registry import open_dataset
from dait.runs.sinks import TerminalSink

_MOST_CLASSES, _MOST_FILES = 30, 20  # printed; ``--json`` has them all
_LONGEST_NAME = 40
_LIKE: dict[str, str] = {"same": "equals", "near": "looks like"}

SOURCE = (
    "a name from ‘data list’, ‘hf:owner/name’, or a path: a folder (split/class/*.jpg or "
    "class/*.jpg), an archive of one (.zip, .tar, .tar.gz), a CSV file (path,label[,split])"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``check`` and its options."""
    parser.description = (
        "Decodes every image and reports classes, counts, files that cannot be used, "
        "images that are in two splits, and what else spoils a comparison. Exit code 2 where "
        "nothing usable is there."
    )
    parser.add_argument(
        "source",
        metavar="NAME_OR_PATH",
        help=SOURCE,
    )
    parser.add_argument(
        "--size", type=int, default=128, help="pixels a side (default: %(default)s)"
    )
    parser.add_argument(
        "--teacher",
        metavar="TEACHER",
        help="also check what this frozen teacher reads of the class texts, and which classes it "
        "cannot tell apart (say fieldguide-clip)",
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the report; raises ``UserError`` for data that cannot be used at all."""
    with closing(TerminalSink()) as terminal:
        data = open_dataset(args.source, size=args.size, emit=terminal)
        found = report(data, terminal)
        if args.teacher:
            # Only here: it takes ten times as long to import as the rest.
            from dait.teachers.registry import load_teacher, prototypes_of

            warned = prototypes_of(load_teacher(args.teacher, emit=terminal), data).warnings
            found = replace(found, warnings=(*found.warnings, *warned))
    _print(found)
    if args.json:
        teacher = {"teacher": args.teacher, "teacher_warnings": warned} if args.teacher else {}
        print(json.dumps({**found.as_json(), **teacher}))
    return 0


def _print(found: DataReport) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in found.counts.items())
    groups = len({count.group for count in found.classes if count.group})
    grouped = f" in {groups:,} groups" if groups else ""
    print(f"{found.name}: {len(found.classes):,} classes{grouped}; {counts} images.")
    print(f"Licence: {found.licence}." + (f" {found.homepage}" if found.homepage else ""))
    if found.sizes:
        least, middle, most = (
            f"{width} × {height}"
            for width, height in (found.sizes.smallest, found.sizes.median, found.sizes.largest)
        )
        print(f"Files from {least} to {most} pixels, the median {middle}; used at {found.size}.")
    for note in found.notes:
        paragraph(note)
    if found.ignored:
        others = ", ".join(f"{count:,} {suffix}" for suffix, count in found.ignored.items())
        print(f"Left aside, being no photographs: {others}.")
    _print_classes(found.classes)
    _print_some("files cannot be used", [f"{one.file} {one.reason}" for one in found.bad])
    _print_some(
        "evaluated images are in another split too",
        [f"{leak.second} {_LIKE[leak.kind]} {leak.first}" for leak in found.leaks],
    )
    if not found.warnings:
        print("Nothing is amiss.")
    for warning in found.warnings:
        paragraph(f"! {warning}", hanging="  ")


def _print_classes(classes: tuple[ClassCount, ...]) -> None:
    """A table, the smallest classes first where there are too many for all."""
    shown = list(classes)
    if len(classes) > _MOST_CLASSES:
        shown = sorted(classes, key=lambda count: count.train)[:_MOST_CLASSES]
        print(f"The {_MOST_CLASSES} smallest of {len(classes):,} classes (‘--json’ has all):")
    rows = [
        [_cut(count.name), *(f"{getattr(count, name):,}" for name in SPLITS)] for count in shown
    ]
    print_lines(table(rows, ("class", *SPLITS), indent=2))


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _print_some(what: str, lines: list[str]) -> None:
    if not lines:
        return
    print(f"{len(lines):,} {what}:")
    for line in lines[:_MOST_FILES]:
        print(f"  {line}")
    if len(lines) > _MOST_FILES:
        print(f"  and {len(lines) - _MOST_FILES:,} more (‘--json’ lists all)")
