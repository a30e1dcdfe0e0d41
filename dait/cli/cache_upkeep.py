"""``python -m dait cache verify`` and ``prune``: whether what is kept is right, and what may go."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import Any

from torch import nn

from dait.config.recipe import parse_recipe
from dait.distributed import device
from dait.errors import UserError
from dait.events import Emit
from dait.runs.data import open_data
from dait.runs.sinks import TerminalSink
from dait.storage.files import format_bytes, sweep
from dait.study.context import teacher_views
from dait.teachers.cache import inventory
from dait.teachers.cache.check import check, description_of, differences
from dait.teachers.cache.inventory import CacheEntry, chosen, default_root, entries
from dait.teachers.cache.views import TRAIN, TeacherViews
from dait.teachers.registry import load_teacher

BAD = 1
"""Exit code of ``verify`` where something kept is not what the teacher says."""


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``cache verify`` and its options."""
    parser.description = (
        "Recompute a sample of what is kept. Exit code 1 where it is not what the teacher says."
    )
    parser.add_argument("keys", nargs="*", metavar="KEY", help="beginnings of keys (default: all)")
    parser.add_argument(
        "--sample", type=int, default=64, metavar="N", help="embeddings of each set (default: 64)"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_verify)


def add_prune_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``cache prune`` and its options."""
    parser.description = "Remove kept embeddings: the sets that fit all of the conditions given."
    parser.add_argument("keys", nargs="*", metavar="KEY", help="beginnings of keys")
    parser.add_argument(
        "--older-than", type=float, metavar="DAYS", help="not used for this many days"
    )
    parser.add_argument("--data", metavar="NAME", help="of this data set (a part of its name)")
    parser.add_argument("--teacher", metavar="NAME", help="of this teacher (a part of its name)")
    parser.add_argument(
        "--max-size",
        metavar="SIZE",
        help="the least recently used ones, until all that is kept takes no more, say 500MB, 2GB",
    )
    parser.add_argument("--all", action="store_true", help="everything")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_prune)


def run_verify(args: argparse.Namespace) -> int:
    """Recompute a sample of every set; 1 where one is not good."""
    if args.sample < 1:
        raise UserError(f"--sample is a number from 1, not {args.sample}.")
    found = entries(default_root())
    if args.keys:
        found = chosen(found, args.keys)
    with closing(TerminalSink()) as terminal:
        rows = [_verified(entry, args.sample, terminal) for entry in found]
    bad = sum(row["good"] is False for row in rows)
    skipped = sum(row["good"] is None for row in rows)
    print(f"{len(rows) - bad - skipped} sets good, {bad} bad, {skipped} not checked")
    if args.json:
        print(json.dumps({"sets": rows, "good": len(rows) - bad - skipped, "bad": bad}))
    return BAD if bad else 0


def _verified(entry: CacheEntry, sample: int, emit: Emit) -> dict[str, Any]:
    row: dict[str, Any] = {"key": entry.key, "good": None, "cosine": None, "checked": 0}
    try:
        views = _reopened(entry, emit)
        changed = differences(entry.facts, description_of(views))
    except UserError as error:
        print(f"{entry.key[:8]}  cannot be checked: {error}")
        return row | {"reason": str(error)}
    if changed:
        reason = f"it is out of date and no longer used: {'; '.join(changed)}"
        print(f"{entry.key[:8]}  cannot be checked: {reason}. Remove it with `cache prune`.")
        return row | {"reason": reason}
    verdict = check(views, sample)
    row |= {"good": verdict.good, "cosine": verdict.cosine, "checked": verdict.checked}
    if verdict.good:
        print(f"{entry.key[:8]}  good: lowest cosine {verdict.cosine:.6f} of {verdict.checked}")
        return row
    how = f"lowest cosine {verdict.cosine:.4f} (view and image {verdict.worst})"
    if verdict.damaged:
        how = f"damaged files: {', '.join(verdict.damaged[:5])}"
    print(
        f"{entry.key[:8]}  bad, {how}: this is not what {entry.teacher} says of {entry.data}. Run "
        f"`python -m dait cache prune {entry.key[:8]}`; it is computed again when needed."
    )
    return row | {"damaged": list(verdict.damaged)}


def _reopened(entry: CacheEntry, emit: Emit) -> TeacherViews:
    """The views of an entry, with its data and teacher opened again. Raises ``UserError``."""
    origin = entry.facts.get("origin")
    if not origin:
        raise UserError("its manifest does not say how its data and its teacher were opened.")
    recipe = parse_recipe(origin, f"of the set {entry.key[:8]}")
    data = open_data(recipe, emit)
    teacher = load_teacher(recipe.teacher.name, recipe.teacher.image_size, emit)
    if isinstance(teacher, nn.Module):
        teacher.to(device())
    unlabelled = entry.facts.get("split") != TRAIN
    return teacher_views(recipe, data, teacher, entry.seed, emit, unlabelled)


def run_prune(args: argparse.Namespace) -> int:
    """Remove the sets that fit."""
    limits = (args.older_than, args.data, args.teacher, args.max_size)
    if not args.keys and not args.all and all(limit is None for limit in limits):
        raise UserError(
            "Say what to remove: keys, --older-than DAYS, --data NAME, --teacher NAME, --max-size "
            "SIZE, or --all. `python -m dait cache list` shows what is kept."
        )
    root = inventory.default_root()
    sweep(root)
    found = inventory.entries(root)
    doomed = inventory.to_prune(
        found,
        among=inventory.chosen(found, args.keys) if args.keys else None,
        older_than_days=args.older_than,
        data=args.data,
        teacher=args.teacher,
        most_bytes=None if args.max_size is None else parse_size(args.max_size),
    )
    for entry in doomed:
        print(f"{entry.key[:8]}  {entry.data}; {entry.teacher}: {format_bytes(entry.bytes)}")
        if not args.dry_run:
            inventory.remove(entry)
    size = sum(entry.bytes for entry in doomed)
    verb = "would be removed" if args.dry_run else "removed"
    print(f"{len(doomed)} of {len(found)} sets of embeddings {verb}, {format_bytes(size)}")
    if args.json:
        keys = [entry.key for entry in doomed]
        print(json.dumps({"removed": keys, "bytes": size, "dry_run": args.dry_run}))
    return 0


def parse_size(text: str) -> int:
    """Bytes of ``500MB``, ``2 GB``, ``1.5e9``. Raises ``UserError`` for anything else."""
    units = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "b": 1, "": 1}
    plain = text.strip().lower()
    unit = next(unit for unit in units if plain.endswith(unit))
    try:
        size = float(plain.removesuffix(unit)) * units[unit]
    except ValueError:
        size = -1.0
    if not 0 <= size < 2**63:
        raise UserError(f"‘{text}’ is no size. Write it as 500MB or 2GB.")
    return int(size)
