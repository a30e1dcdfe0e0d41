"""``python -m dait teacher list`` and ``fetch``: which teachers there are, and their weights."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dait.teachers.catalogue import TeacherEntry
    from dait.teachers.zero_shot_figures import ZeroShotFigures

KINDS = ("own", "openclip", "timm")


def register(actions: Any) -> None:
    """Add ``list`` and ``fetch`` to the actions of ``teacher``."""
    listing: argparse.ArgumentParser = actions.add_parser(
        "list",
        help="the teachers that a recipe can name",
        description="List the teachers of the installed libraries: name, parameters, image size, "
        "estimated download, whether the weights are on this machine, and the zero-shot accuracy "
        "measured here with `teacher eval`. openclip:hf-hub:OWNER/NAME and openclip-local:FOLDER "
        "name others.",
    )
    listing.add_argument(
        "--search", default="", metavar="WORDS", help="only names with all of these words"
    )
    listing.add_argument(
        "--kind",
        action="append",
        choices=KINDS,
        help="own, openclip (reads text) or timm (images only); without --search or --here, "
        "timm's 1,800 are left out",
    )
    listing.add_argument("--here", action="store_true", help="only those on this machine")
    listing.add_argument("--json", action="store_true", help="one line of JSON instead")
    listing.set_defaults(run=run_list)
    fetching: argparse.ArgumentParser = actions.add_parser(
        "fetch",
        help="download a teacher's weights, for later or for another machine",
        description="Download what a teacher needs into the Hugging Face hub's cache (HF_HOME), "
        "where every later command finds it without a connection.",
    )
    fetching.add_argument("teacher", metavar="TEACHER", help="a name from `teacher list`")
    fetching.set_defaults(run=run_fetch)


def run_list(args: argparse.Namespace) -> int:
    """Print the teachers, one a line."""
    from dait.teachers.catalogue import list_teachers
    from dait.teachers.zero_shot_figures import known_zero_shot

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
    _print(lines)
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Download a teacher's weights and print where they lie."""
    from dait.runs.sinks import TerminalSink
    from dait.teachers.registry import fetch_teacher

    with closing(TerminalSink()) as terminal:
        paths = fetch_teacher(args.teacher, terminal)
    for path in paths:
        print(path)
    if not paths:
        print(f"{args.teacher} needs no download.")
    return 0


def _print(lines: Iterable[str]) -> None:
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:  # `| head` has seen enough; at exit Python would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _measured(name: str, known: Iterable[ZeroShotFigures]) -> list[dict[str, Any]]:
    return [asdict(figures) for figures in known if figures.teacher == name]


def _line(entry: TeacherEntry, known: Iterable[ZeroShotFigures]) -> str:
    from dait.storage.files import format_bytes

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
