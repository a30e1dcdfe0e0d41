"""The options that ``train`` and ``study`` share: recipe, data, overrides, output."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_names
from dait.data.sources.catalogue import absolute_source
from dait.errors import UserError
from dait.storage.files import parse_yaml
from dait.storage.paths import absolute, runs_folder
from dait.study.plan import StudyPlan

Planned = tuple[StudyPlan, int | None]
"""A study, and which of its runs to train; None: all of them."""


def add_recipe_options(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add ``RECIPE --data --epochs --set --out --json``; an ``optional`` RECIPE may be None."""
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?" if optional else None,
        help=f"a bundled recipe ({', '.join(recipe_names())}) or a .yaml file",
    )
    parser.add_argument(
        "--data",
        metavar="NAME_OR_FOLDER",
        help="use other data than the recipe's; with --resume: the same images lie here now",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training images")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the recipe, say dait.spatial_weight=2 (may be repeated)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder to write (default: a new one in the runs folder, $DAIT_RUNS)",
    )
    parser.add_argument(
        "--json", action="store_true", help="end with one line of JSON on standard output"
    )


def chosen_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe with the command line's changes. Raises UserError."""
    changes = parse_settings(args.set)
    if args.data is not None:
        changes["data.source"] = args.data
    if args.epochs is not None:
        changes["train.epochs"] = args.epochs
    recipe = load_recipe(args.recipe).changed(changes)
    if recipe.data.source == OWN_FOLDER:
        raise UserError(
            f"The recipe {recipe.name} is for photographs of your own: name their folder with "
            "--data, say --data path/to/photos."
        )
    # The study must find its photographs again from any working directory.
    return recipe.changed({"data.source": absolute_source(recipe.data.source)})


def parse_settings(items: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE``, as ``--set`` gives them, to dotted keys and values. Raises UserError."""
    changes: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise UserError(f"--set wants KEY=VALUE, say train.learning_rate=0.001, not {item!r}.")
        try:
            changes[key] = parse_yaml(value, aliases=True)
        except ValueError:
            raise UserError(
                f"--set {key}: {value!r} is not a value in YAML, such as 0.001, light or [8, 16]."
            ) from None
    return changes


def new_folder(args: argparse.Namespace, recipe: Recipe) -> Path:
    """``--out``, or a new folder in the runs folder."""
    if args.out:
        return absolute(args.out)
    return runs_folder() / f"{recipe.name}-{time.strftime('%Y%m%d-%H%M%S')}"
