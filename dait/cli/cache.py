"""``python -m dait cache``: the frozen teacher's embeddings that are kept on disk."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from typing import Any

from dait.cli import cache_upkeep
from dait.cli.cache_upkeep import words
from dait.cli.options import chosen_recipe
from dait.config.recipe import Recipe, recipe_names
from dait.errors import UserError


def register(commands: Any) -> None:
    """Add ``cache build``, ``list``, ``verify`` and ``prune`` to the commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "cache",
        help="the frozen teacher's embeddings of augmented views, kept on disk",
        description="Build, list, verify and prune the frozen teacher's embeddings of augmented "
        "views. Training fills and uses them by itself; they are in the folder DAIT_CACHE.",
    )
    actions: Any = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_build(actions)
    _register_list(actions)
    cache_upkeep.register(actions)


def _register_build(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser(
        "build",
        help="compute them before a training, on several processes or machines if need be",
        description="Compute the embeddings that a training of RECIPE would use. Under "
        "`accelerate launch -m dait cache build RECIPE` (or torchrun) every process computes its "
        "share; several machines need one DAIT_CACHE that all see. An interrupted build goes on "
        "where it was.",
    )
    names = ", ".join(recipe_names())
    parser.add_argument(
        "recipe", metavar="RECIPE", help=f"a recipe that comes along ({names}) or a .yaml file"
    )
    parser.add_argument("--data", metavar="NAME_OR_PATH", help="use other data than the recipe's")
    parser.add_argument("--teacher", metavar="NAME", help="use another teacher than the recipe's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training images")
    parser.add_argument(
        "--views", type=int, metavar="K", help="views of an image (default: as the training needs)"
    )
    parser.add_argument(
        "--seeds", default="0", metavar="LIST", help="of the runs, say 0,1,2 (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_build)


def _register_list(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser("list", help="what is kept")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_list)


def run_build(args: argparse.Namespace) -> int:
    """Compute what is missing; with several processes, this one's share."""
    from dait.cli.study import parse_seeds
    from dait.distributed import this_world
    from dait.events import ignore
    from dait.runs.sinks import TerminalSink

    seeds = parse_seeds(args.seeds)
    recipe = chosen_recipe(args)
    if args.teacher is not None:
        recipe = recipe.changed({"teacher.name": args.teacher})
    if not recipe.views.cache:
        raise UserError("The recipe keeps no embeddings (views.cache is false). Set it to true.")
    if args.views is not None and args.views < 1:
        raise UserError(f"--views is a number from 1, not {args.views}.")
    world = this_world()
    try:
        with closing(TerminalSink()) as terminal:
            facts = _build(recipe, seeds, args.views, world, terminal if world.is_main else ignore)
    finally:
        world.close()
    if world.is_main:
        size = sum(fact["bytes"] for fact in facts)
        print(f"{len(facts)} sets of embeddings, {words(size)}, are complete")
        if args.json:
            print(json.dumps({"sets": facts, "bytes": size, "processes": world.size}))
    return 0


def _build(
    recipe: Recipe, seeds: list[int], count: int | None, world: Any, emit: Any
) -> list[dict[str, Any]]:
    from torch import nn

    from dait.distributed import device
    from dait.runs.data import open_data
    from dait.study.context import teacher_views
    from dait.teachers.registry import load_teacher

    data = open_data(recipe, emit)
    teacher = load_teacher(recipe.teacher.name, recipe.teacher.image_size, emit)
    if isinstance(teacher, nn.Module):
        teacher.to(world.device or device())
    epochs = max(recipe.train.epochs, recipe.dait.stage1_epochs or 0)
    numbers = range(count or recipe.views.count(epochs))
    facts = []
    for seed in seeds:
        views = teacher_views(recipe, data, teacher, seed, emit)
        views.announce(len(numbers))
        views.build(numbers, world)
        kept = views.kept()
        size = len(numbers) * kept.description.view_bytes
        where = {"key": kept.folder.name, "folder": str(kept.folder)}
        facts.append({**where, "seed": seed, "views": len(numbers), "bytes": size})
    return facts


def run_list(args: argparse.Namespace) -> int:
    """Print a line for every set of embeddings."""
    from dait.teachers.cache.inventory import default_root, entries

    root = default_root()
    found = entries(root)
    for entry in found:
        partial = "" if entry.complete == entry.views else f" ({entry.complete} complete)"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used))
        size = f"{entry.images:,} images × {entry.dim}, {words(entry.bytes)}"
        print(
            f"{entry.key[:8]}  {entry.data}, {entry.transform}, seed {entry.seed}; "
            f"{entry.teacher}: {entry.views} views{partial} × {size}, used {used}"
        )
    total = sum(entry.bytes for entry in found)
    print(f"{len(found)} sets of embeddings, {words(total)}, in {root}")
    if args.json:
        rows = [entry.as_json() for entry in found]
        print(json.dumps({"sets": rows, "bytes": total, "folder": str(root)}))
    return 0
