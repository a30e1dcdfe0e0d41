"""``python -m dait data``: which data sets there are, and what is in one."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from dait.cli.data_check import SOURCE
from dait.cli.table import paragraph
from dait.data.base import SPLITS, Dataset
from dait.data.folders.dataset import ImageFileDataset
from dait.data.inspection.preview import preview_grid
from dait.data.sources.catalogue import list_datasets
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.runs.sinks import TerminalSink
from dait.storage.paths import absolute

_FORMATS = (".png", ".jpg", ".jpeg", ".webp")
_OTHERS = (
    "Or ‘hf:owner/name’, an image-classification data set of the Hugging Face hub; or the path of "
    "your own photographs: a folder (split/class/*.jpg with train, val, test, or class/*.jpg), an "
    "archive of one (.zip, .tar, .tar.gz), or a CSV file (path,label[,split])."
)
_MOST_PROBLEMS = 20  # printed; ``--json`` has them all


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``data list`` and its options."""
    parser.description = "The data sets known by name."
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_list)


def add_preview_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``data preview`` and its options."""
    parser.description = (
        "Counts the images of every split, checks that the files can be read, and "
        "writes a contact sheet with some images of every class."
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
        "--split", choices=SPLITS, default="train", help="the split to draw (default: %(default)s)"
    )
    parser.add_argument(
        "--per-class", type=int, default=4, metavar="N", help="images a class (default: 4)"
    )
    parser.add_argument(
        "--out", type=absolute, default=Path("preview.png"), help="the sheet (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_preview)


def run_list(args: argparse.Namespace) -> int:
    """Prints a card per data set."""
    cards = list_datasets()
    for card in cards:
        here = "here" if card.available else "not here yet"
        much = ", ".join(
            f"{count:,} {what}"
            for count, what in ((card.classes, "classes"), (card.images, "images"))
            if count is not None
        )
        print(f"{card.name:<17}{card.title} ({', '.join(filter(None, (much, here)))})")
        paragraph(card.description, " " * 17)
        if card.variants:
            paragraph("Labelled by: " + ", ".join(card.variants), " " * 17)
        where = f" {card.homepage}" if card.homepage else ""
        paragraph(f"Licence: {card.licence}{where}", " " * 17)
    print()
    paragraph(_OTHERS)
    if args.json:
        print(json.dumps({"datasets": [vars(card) for card in cards]}))
    return 0


def run_preview(args: argparse.Namespace) -> int:
    """Counts, checks, draws; raises ``UserError`` for data or a file name that cannot be used."""
    if args.out.suffix.lower() not in _FORMATS:
        raise UserError(f"‘{args.out}’ is no image file. End it with {', '.join(_FORMATS)}.")
    with closing(TerminalSink()) as terminal:
        dataset = open_dataset(args.source, size=args.size, emit=terminal)
        if isinstance(dataset, ImageFileDataset):
            dataset.check()
        sheet = preview_grid(dataset, args.split, per_class=args.per_class)
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(args.out)
    except OSError as error:
        raise UserError(f"‘{args.out}’ cannot be written: {error.strerror or error}.") from error
    facts = _facts(dataset, args)
    _print_facts(dataset, facts)
    if args.json:
        print(json.dumps(facts))
    return 0


def _facts(dataset: Dataset, args: argparse.Namespace) -> dict[str, Any]:
    in_split = Counter(dataset.split(args.split).labels.tolist())
    return {
        "dataset": dataset.name,
        "size": dataset.size,
        "licence": dataset.licence,
        "fingerprint": dataset.fingerprint,
        "counts": dict(dataset.counts()),
        "split": args.split,
        "classes": [
            {"key": info.key, "name": info.name, "group": info.group, "count": in_split[label]}
            for label, info in enumerate(dataset.classes)
        ],
        "problems": [vars(problem) for problem in dataset.problems],
        "ignored": getattr(dataset, "ignored", {}),
        "left_out": [vars(left) for left in getattr(dataset, "left_out", ())],
        "notes": list(getattr(dataset, "notes", ())),
        "sheet": str(args.out),
    }


def _print_facts(dataset: Dataset, facts: dict[str, Any]) -> None:
    counts = ", ".join(f"{count} {split}" for split, count in facts["counts"].items())
    groups = len({info.group for info in dataset.classes if info.group})
    grouped = f" in {groups} groups" if groups else ""
    print(f"{dataset.name}: {len(dataset.classes)} classes{grouped}; {counts} images.")
    print(f"Licence: {dataset.licence}.")
    for note in (*facts["notes"], *getattr(dataset, "left_out", ())):
        print(note)
    if facts["ignored"]:
        others = ", ".join(f"{count} {suffix}" for suffix, count in facts["ignored"].items())
        print(f"Left aside, being no photographs: {others}.")
    problems = dataset.problems
    if problems:
        print(f"{len(problems)} files cannot be used:")
        for problem in problems[:_MOST_PROBLEMS]:
            print(f"  {problem.file} {problem.reason}")
        if len(problems) > _MOST_PROBLEMS:
            print(f"  and {len(problems) - _MOST_PROBLEMS} more (‘--json’ lists all)")
    print(f"Contact sheet of the {facts['split']} split: {facts['sheet']}")
