"""Accuracy, time and bytes against the number of views that the frozen teacher embeds."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from benchmarks.output import add_json_option
from benchmarks.stand_ins import empty_cache
from dait.cli.study import parse_seeds
from dait.config.arms import ARMS, Arm
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError
from dait.events import Emit
from dait.runs.folder import RunFolder
from dait.runs.sinks import TerminalSink
from dait.study.context import prepare
from dait.study.run import run_arm
from dait.teachers.cache.inventory import default_root, entries

LIVE = "live"


def parse_views(text: str) -> list[str]:
    """``"1,2,live"`` → its parts, each once. Raises ``UserError`` for anything else."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts or any(part != LIVE and not (part.isdigit() and int(part)) for part in parts):
        raise UserError(f"Give numbers of views from 1, or live, say 1,2,4,8,live; not {text!r}.")
    return parts


def measure_views(
    recipe: Recipe,
    counts: Sequence[str],
    seeds: Sequence[int],
    arm: Arm,
    emit: Emit,
    tell: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """One row for every number of views of ``counts`` (``parse_views``).

    Every run starts from an empty cache of embeddings and trains ``arm`` from nothing, so
    ``seconds`` is what one run takes, the teacher's part included (``processor_seconds`` are this
    process's own, which other work disturbs less). A row holds ``views``, ``top1`` (mean over
    seeds on test, fraction), ``top1_sd``, ``top1s``, ``intermediate_top1`` (DAIT only), ``seconds``
    and ``processor_seconds`` (means) and ``bytes``; ``tell`` hears it as soon as it is known.
    Raises ``UserError`` for data or a teacher that are not available.
    """
    bench, rows = prepare(recipe, emit), []
    for count in counts:
        changes = {"views.distinct": 0 if count == LIVE else int(count)}
        changed = replace(bench, recipe=recipe.changed(changes | {"views.cache": count != LIVE}))
        results, sizes = list[dict[str, Any]](), list[int]()
        seconds, processor = list[float](), list[float]()
        for seed in seeds:
            with empty_cache() as folder:
                start, before = time.perf_counter(), time.process_time()
                results.append(run_arm(changed, arm, seed, RunFolder(folder / "run"), emit))
                seconds.append(time.perf_counter() - start)
                processor.append(time.process_time() - before)
                sizes.append(sum(entry.bytes for entry in entries(default_root())))
        top1s = [result["top1"] for result in results]
        between = [r["intermediate"]["top1"] for r in results if r["intermediate"]]
        row = {
            "views": count,
            "top1": statistics.mean(top1s),
            "top1_sd": statistics.stdev(top1s) if len(top1s) > 1 else 0.0,
            "top1s": top1s,
            "intermediate_top1": statistics.mean(between) if between else None,
            "seconds": statistics.mean(seconds),
            "processor_seconds": statistics.mean(processor),
            "bytes": max(sizes),
        }
        tell(row)
        rows.append(row)
    return rows


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``bench views`` and its options."""
    parser.description = (
        "Train an arm for every number of distinct views and every seed, each from an empty cache "
        "of embeddings."
    )
    parser.add_argument("--recipe", default="demo", metavar="RECIPE", help="default: demo")
    parser.add_argument("--k", default="1,2,4,8,live", metavar="LIST", help="default: 1,2,4,8,live")
    parser.add_argument("--seeds", default="0,1,2", metavar="LIST", help="default: 0,1,2")
    parser.add_argument("--arm", choices=ARMS[1:], default="dait", help="default: dait")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the recipe's")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a row for every number of views as soon as it is known."""
    counts, seeds = parse_views(args.k), parse_seeds(args.seeds)
    recipe = load_recipe(args.recipe)
    if args.epochs is not None:
        recipe = recipe.changed({"train.epochs": args.epochs})

    def tell(row: dict[str, Any]) -> None:
        print(
            f"{row['views']:>4} views: test top-1 {row['top1']:.1%} ± {row['top1_sd']:.1%}, "
            f"{row['seconds']:.0f} s, {row['bytes'] / 1e6:.1f} MB",
            flush=True,
        )

    with closing(TerminalSink()) as terminal:
        rows = measure_views(recipe, counts, seeds, args.arm, terminal, tell)
    if args.json:
        print(json.dumps({"recipe": recipe.name, "arm": args.arm, "seeds": seeds, "rows": rows}))
    return 0
