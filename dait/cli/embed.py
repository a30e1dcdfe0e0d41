"""``python -m dait embed``: how the networks of a study lay their test images out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from dait.cli.table import print_lines, table
from dait.errors import UserError
from dait.evaluation.features.projection import write_tsne, write_umap
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder, to_json
from dait.runs.sinks import TerminalSink
from dait.storage.paths import study_folder

COLUMNS = ("intra", "inter", "gap", "knn", "silhouette", "cka_vlm", "cka_intermediate")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``embed`` and its options."""
    parser.description = (
        "Writes the study's tsne.npz (up to 500 test images, the same for every "
        "network; seed 0), which the app shows, and prints for every network the mean cosines "
        "within and across classes, k-NN accuracy, silhouette, and linear CKA with the frozen and "
        "the intermediate teacher. The same maps are not computed twice."
    )
    parser.add_argument(
        "study", type=study_folder, metavar="STUDY", help="the folder of a finished study"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="print this seed of the study (default: every one)"
    )
    parser.add_argument(
        "--perplexity", type=float, default=30.0, metavar="P", help="of t-SNE (default: 30)"
    )
    parser.add_argument(
        "--umap",
        action="store_true",
        help="write umap.npz too (needs the package umap-learn)",
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the maps, and print the table."""
    if not 1 <= args.perplexity <= 1000:
        raise UserError(f"--perplexity is a number from 1 to 1000, not {args.perplexity:g}.")
    study = StudyFolder(args.study)
    first = Comparison(study, args.seed)
    seconds, computed = {}, {}
    with closing(TerminalSink()) as terminal:
        start = time.perf_counter()
        computed["tsne"] = write_tsne(study, terminal, args.perplexity)
        seconds["tsne"] = time.perf_counter() - start
        if args.umap:
            start = time.perf_counter()
            computed["umap"] = write_umap(study, terminal)
            seconds["umap"] = time.perf_counter() - start
    for name, taken in seconds.items():
        how = "computed" if computed[name] else "as they were kept"
        print(f"{args.study / f'{name}.npz'}: {how} in {taken:.1f} s")
    seeds = first.seeds if args.seed is None else (args.seed,)
    rows = {seed: Comparison(study, seed).representation() for seed in seeds}
    for seed, found in rows.items():
        print_lines(_lines(seed, found))
    if args.json:
        summary = {"study": str(args.study), "computed": computed, "seconds": seconds}
        print(to_json({**summary, "perplexity": args.perplexity, "representation": rows}))
    return 0


def _lines(seed: int, rows: Sequence[dict[str, Any]]) -> list[str]:
    head = [f"seed {seed}", *(name.replace("_", " ") for name in COLUMNS)]
    return table(([row["title"], *(_plain(row[name]) for name in COLUMNS)] for row in rows), head)


def _plain(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
