"""``python -m dait networks``: students and intermediate teachers, with their size and cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dait.errors import UserError
from dait.models.catalogue import CURATED, search_networks, what_for
from dait.models.facts import NetworkFacts, network_facts
from dait.models.spec import NetworkSpec
from dait.models.survey import survey

FEW = 8
"""As many networks as a search measures unasked: each takes about a second."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``networks`` and its options."""
    parser.description = (
        "Without TEXT: a curated list, measured at --size. With TEXT: the networks of "
        "timm and torchvision with all of its words in their names; a few of them are measured "
        "at once, more with --measure. MACs are multiply-accumulates for one image."
    )
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="words of a name")
    parser.add_argument(
        "--size", type=int, default=96, metavar="N", help="side of the images in pixels (96)"
    )
    parser.add_argument(
        "--classes", type=int, default=40, metavar="C", help="classes of the head (40)"
    )
    parser.add_argument(
        "--stride", type=int, default=32, choices=(8, 16, 32), help="output_stride (32)"
    )
    parser.add_argument("--measure", action="store_true", help="measure every network found")
    parser.add_argument(
        "--all",
        action="store_true",
        help="try every network of the libraries, without weights, and write --out; takes hours, "
        "resumes where it was cut off",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("networks.csv"),
        metavar="FILE",
        help="of --all: a line a network; beside it the same as a table, FILE with .md",
    )
    parser.add_argument(
        "--most",
        type=float,
        default=100,
        metavar="M",
        help="of --all: millions of parameters up to which a network is trained for a step; of "
        "larger ones only the shapes are tried, which costs no memory (100)",
    )
    parser.add_argument(
        "--json", action="store_true", help="end with one line of JSON on standard output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the networks, one a line, as they are measured. Raises UserError for none."""
    if args.all:
        for line in survey(args.out, args.most):
            if not args.json:
                print(line, flush=True)
        return 0
    names = search_networks(args.text) if args.text else [entry.name for entry in CURATED]
    if not names:
        raise UserError(
            f"No network of timm's or torchvision's has “{args.text}” in its name. Try fewer or "
            "shorter words; without any, the curated list is shown."
        )
    measure = args.measure or not args.text or len(names) <= FEW
    rows = []
    for name, facts, fault in _measured(names, args) if measure else _unmeasured(names):
        use = what_for(name)
        rows.append(_row(name, use, facts, fault))
        if not args.json:
            print(_line(name, use, facts, fault), flush=True)
    if args.json:
        print(json.dumps({"size": args.size, "classes": args.classes, "networks": rows}))
    elif not measure:
        print(f"{len(names)} networks; more words, or --measure, for their size and cost.")
    return 0


def _measured(
    names: Iterable[str], args: argparse.Namespace
) -> Iterator[tuple[str, NetworkFacts | None, str]]:
    for name in names:
        try:
            spec = NetworkSpec(name=name, output_stride=args.stride)
            yield name, network_facts(spec, args.classes, args.size), ""
        except UserError as error:
            yield name, None, str(error)


def _unmeasured(names: Iterable[str]) -> Iterator[tuple[str, None, str]]:
    for name in names:
        yield name, None, ""


def _row(name: str, use: str, facts: NetworkFacts | None, fault: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "use": use, "error": fault or None}
    if facts is not None:
        row |= {
            "parameters": facts.parameters,
            "macs": facts.macs,
            "map": list(facts.map),
            "pooled_width": facts.pooled_width,
            "coarse": facts.coarse,
        }
    return row


def _line(name: str, use: str, facts: NetworkFacts | None, fault: str) -> str:
    if facts is None:
        return f"{name}  {fault or use}".rstrip()
    channels, rows, columns = facts.map
    figures = (
        f"{facts.parameters / 1e6:6.2f} M parameters  {facts.macs / 1e6:7.1f} M MACs  "
        f"map {channels:4d}×{rows}×{columns}  pooled {facts.pooled_width:4d}"
    )
    return f"{name:34}{figures}  {use}".rstrip()
