"""``python -m dait teacher list`` and ``fetch``: which teachers there are, and their weights."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from typing import Any

from dait.cli.table import print_lines
from dait.runs.sinks import TerminalSink
from dait.storage.files import format_bytes
from dait.teachers.catalogue import TeacherEntry, list_teachers
from dait.teachers.zero_shot_figures import ZeroShotFigures, known_zero_shot

KINDS = ("own", "openclip", "timm")


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``teacher list`` and its options."""
    parser.description = (
        "List the teachers of the installed libraries: name, parameters, image size, "
        "estimated download, whether the weights are on this machine, and the zero-shot accuracy "
        "measured here with `teacher eval`. openclip:hf-hub:OWNER/NAME and openclip-local:FOLDER "
        "name others."
    )
    parser.add_argument(
        "--search", default="", metavar="WORDS", help="only names with all of these words"
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=KINDS,
        help="own, openclip (reads text) or timm (images only); without --search or --here, "
        "timm's 1,800 are left out",
    )
    parser.add_argument("--here", action="store_true", help="only those on this machine")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead")
    parser.set_defaults(run=run_list)


def add_fetch_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``teacher fetch`` and its options."""
    parser.description = (
        "Download what a teacher needs into the Hugging Face hub's cache (HF_HOME), "
        "where every later command finds it without a connection."
    )
    parser.add_argument("teacher", metavar="TEACHER", help="a name from `teacher list`")
    parser.set_defaults(run=run_fetch)


def run_list(args: argparse.Namespace) -> int:
    """Print the teachers, one a line."""
    everything = bool(args.search or args.here)
    kinds = tuple(args.kind or (KINDS if everything else ("own", "openclip")))
    entries = list_teachers(args.search, kinds, args.here)
    known = known_zero_shot()
    if args.json:
        rows = [asdict(entry) | {"zero_shot": _measured(entry.name, known)} for entry in entries]
        print(json.dumps({"teachers": rows}))
        return 0
    lines = [_line(entry, known) for entry in entries]
    if not entries:
        lines.append("No teacher's name has all of these words; try fewer.")
    elif "timm" not in kinds and not args.kind:
        lines.append("And timm's, which see images only: --kind timm, or --search WORDS.")
    print_lines(lines)
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Download a teacher's weights and print where they lie."""
    from dait.teachers.registry import fetch_teacher  # ``list`` must not wait for it

    with closing(TerminalSink()) as terminal:
        paths = fetch_teacher(args.teacher, terminal)
    for path in paths:
        print(path)
    if not paths:
        print(f"{args.teacher} needs no download.")
    return 0


def _measured(name: str, known: Iterable[ZeroShotFigures]) -> list[dict[str, Any]]:
    return [asdict(figures) for figures in known if figures.teacher == name]


def _line(entry: TeacherEntry, known: Iterable[ZeroShotFigures]) -> str:
    parts = [f"{entry.parameters / 1e6:,.0f} M parameters" if entry.parameters else ""]
    parts.append(f"{entry.image_size} px" if entry.image_size else "")
    parts.append("" if entry.reads_text else "images only")
    download = format_bytes(entry.download_bytes)
    size = f"about {download}" if entry.download_bytes else download
    parts.append("on this machine" if entry.here else f"to download, {size}")
    for figures in known:
        if figures.teacher == entry.name:
            parts.append(
                f"top-1 {figures.top1:.1%} on {figures.split} of {figures.data} ({figures.n:,})"
            )
    return f"{entry.name}  {', '.join(part for part in parts if part)}"
