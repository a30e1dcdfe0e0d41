"""``python -m dait cache build``: the frozen teacher's embeddings, computed before a training."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import Any

from torch import nn

from dait.cli.options import chosen_recipe
from dait.cli.study import parse_seeds
from dait.config.recipe import Recipe, recipe_names
from dait.distributed import device, this_world
from dait.errors import UserError
from dait.events import ignore
from dait.runs.data import open_data
from dait.runs.sinks import TerminalSink
from dait.storage.files import format_bytes
from dait.study.context import teacher_views
from dait.teachers.registry import load_teacher


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``cache build`` and its options."""
    parser.description = (
        "Compute the embeddings that a training of RECIPE would use. Under "
        "`accelerate launch -m dait cache build RECIPE` (or torchrun) every process computes its "
        "share; several machines need one DAIT_CACHE that all see. An interrupted build resumes "
        "where it stopped."
    )
    names = ", ".join(recipe_names())
    parser.add_argument(
        "recipe", metavar="RECIPE", help=f"a bundled recipe ({names}) or a .yaml file"
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


def run_build(args: argparse.Namespace) -> int:
    """Compute what is missing; with several processes, this one's share."""
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
        print(f"{len(facts)} sets of embeddings, {format_bytes(size)}, are complete")
        if args.json:
            print(json.dumps({"sets": facts, "bytes": size, "processes": world.size}))
    return 0


def _build(
    recipe: Recipe, seeds: list[int], count: int | None, world: Any, emit: Any
) -> list[dict[str, Any]]:
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
