"""``python -m dait cache list``: the frozen teacher's embeddings that are kept on disk."""

from __future__ import annotations

import argparse
import json
import time

from dait.storage.files import format_bytes
from dait.teachers.cache.inventory import default_root, entries


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``cache list`` and its options."""
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_list)


def run_list(args: argparse.Namespace) -> int:
    """Print a line for every set of embeddings."""
    root = default_root()
    found = entries(root)
    for entry in found:
        partial = "" if entry.complete == entry.views else f" ({entry.complete} complete)"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used))
        size = f"{entry.images:,} images × {entry.dim}, {format_bytes(entry.bytes)}"
        print(
            f"{entry.key[:8]}  {entry.data}, {entry.transform}, seed {entry.seed}; "
            f"{entry.teacher}: {entry.views} views{partial} × {size}, used {used}"
        )
    total = sum(entry.bytes for entry in found)
    print(f"{len(found)} sets of embeddings, {format_bytes(total)}, in {root}")
    if args.json:
        rows = [entry.as_json() for entry in found]
        print(json.dumps({"sets": rows, "bytes": total, "folder": str(root)}))
    return 0
