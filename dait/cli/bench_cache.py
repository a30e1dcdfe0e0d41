"""``python -m dait bench embed``, ``cache`` and ``views``: what the frozen teacher costs."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import closing
from typing import Any

from dait.cli.study import parse_seeds
from dait.config.arms import ARMS
from dait.config.recipe import load_recipe
from dait.errors import UserError

_TEACHER = "fieldguide-clip, vit-b-32 or vit-l-14 (random weights), or any teacher's name"

_MEASURED, _LARGE = (16, 4, 3), (8, 2, 2)
"""Images of a batch, steps of an epoch, rounds. A ViT-L/14 takes a CPU most of a second an image: a
few of them keep its benchmark to minutes."""


def register(actions: Any) -> None:
    """Add the three to the benchmarks."""
    _register_embed(actions)
    _register_cache(actions)
    _register_views(actions)


def _register_embed(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser(
        "embed",
        help="throughput of embedding a data set, over a bare loop of the same model",
        description="Embed a memory-mapped data set of noise, and run the teacher's model over "
        "tensors in memory, in turn; print the ratio of their throughputs.",
    )
    parser.add_argument(
        "--teacher", default="fieldguide-clip", metavar="NAME", help=f"{_TEACHER} (default: first)"
    )
    parser.add_argument("--images", type=int, default=512, metavar="N", help="default: 512")
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="default: 128")
    parser.add_argument(
        "--size", type=int, metavar="N", help="side of the data's images (default: the teacher's)"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_embed)


def _register_cache(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser(
        "cache",
        help="the whole DAIT pipeline with and without kept views",
        description="Time some steps of both stages of DAIT with kept views and with the frozen "
        "teacher in every step, extrapolate to the whole training, and compare with what the "
        "multiply-adds allow.",
    )
    parser.add_argument(
        "--teacher", default="fieldguide-clip", metavar="NAME", help=f"{_TEACHER} (default: first)"
    )
    parser.add_argument("--views", type=int, default=8, metavar="K", help="default: 8")
    parser.add_argument("--epochs", type=int, default=100, metavar="N", help="default: 100")
    parser.add_argument(
        "--images", type=int, default=1200, metavar="N", help="of the whole training (1200)"
    )
    batch, steps, repeats = _MEASURED
    parser.add_argument(
        "--batch", type=int, metavar="N", help=f"default: {batch}, less for vit-l-14"
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help=f"measured in an epoch (default: {steps}, or less)"
    )
    parser.add_argument(
        "--repeats", type=int, metavar="N", help=f"rounds (default: {repeats}, or less)"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_cache)


def _register_views(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser(
        "views",
        help="accuracy, time and bytes against the number of distinct views (hours)",
        description="Train an arm for every number of distinct views and every seed, each from an "
        "empty cache of embeddings.",
    )
    parser.add_argument("--recipe", default="demo", metavar="RECIPE", help="default: demo")
    parser.add_argument("--k", default="1,2,4,8,live", metavar="LIST", help="default: 1,2,4,8,live")
    parser.add_argument("--seeds", default="0,1,2", metavar="LIST", help="default: 0,1,2")
    parser.add_argument("--arm", choices=ARMS[1:], default="dait", help="default: dait")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the recipe's")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_views)


def run_embed(args: argparse.Namespace) -> int:
    """Print the ratio and what it was measured with."""
    from benchmarks.embed import measure_embedding

    _need_positive(args, "images", "batch", "repeats")
    figures = measure_embedding(args.teacher, args.images, args.batch, args.size, args.repeats)
    return _print(figures, args.json)


def run_cache(args: argparse.Namespace) -> int:
    """Print the speedup, its limit, and what they were extrapolated from."""
    from benchmarks.cache import measure_cache

    names = ("views", "epochs", "images", "batch", "steps", "repeats")
    usual = _LARGE if args.teacher == "vit-l-14" else _MEASURED
    for name, value in zip(("batch", "steps", "repeats"), usual, strict=True):
        if getattr(args, name) is None:
            setattr(args, name, value)
    _need_positive(args, *names)
    figures = measure_cache(args.teacher, **{name: getattr(args, name) for name in names})
    print(
        f"extrapolated from {figures['measured_steps']} steps of each kind to {args.epochs} epochs "
        f"of two stages over {args.images:,} images"
    )
    if figures["load"] > (os.cpu_count() or 1):
        print("the machine is busy with other work: believe the figures that end in _cpu")
    return _print(figures, args.json)


def run_views(args: argparse.Namespace) -> int:
    """Print a row for every number of views as soon as it is known."""
    from benchmarks.views import measure_views, parse_views
    from dait.runs.sinks import TerminalSink

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


def _print(figures: dict[str, Any], as_json: bool) -> int:
    for name, value in figures.items():
        print(f"{name:<24}", f"{value:>16,.4g}" if isinstance(value, float) else f"{value!s:>16}")
    if as_json:
        print(json.dumps(figures))
    return 0


def _need_positive(args: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(args, name) < 1:
            raise UserError(f"--{name} is a number from 1, not {getattr(args, name)}.")
