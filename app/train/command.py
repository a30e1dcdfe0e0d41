"""An order as a command line and as a recipe file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from app.config import AppConfig
from app.studies.order import Order, vary_option
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_names

LONGEST = 4000
"""Characters of a command line; a longer one, with many descriptions, names a file instead."""

NAMES = ("name", "title", "expected")
"""Fields of a recipe that do not change what is trained."""


def command_line(config: AppConfig, order: Order) -> str:
    """The command that starts the order in the project's folder.

    It names a bundled recipe and the differences from it, or the file of ``recipe_file`` if there
    is no such recipe or the line would be too long.
    """
    recipe = _shown(config, order.recipe)
    file = [file_name(recipe)]
    words = [recipe.name, *_changes(recipe)] if recipe.name in recipe_names() else file
    typed = _typed(words, order)
    return typed if len(typed) <= LONGEST else _typed(file, order)


def recipe_file(config: AppConfig, order: Order) -> str:
    """The whole recipe in YAML, every default filled in, and how to start it."""
    recipe = _shown(config, order.recipe)
    return f"# {_typed([file_name(recipe)], order)}\n{recipe.to_yaml()}"


def file_name(recipe: Recipe) -> str:
    """The name for the file of ``recipe_file``."""
    return f"{recipe.name}.yaml"


def _typed(words: list[str], order: Order) -> str:
    seeds = ",".join(str(seed) for seed in order.seeds)
    chosen = ["--arms", ",".join(order.arms), "--seeds", seeds]
    if order.vary is not None:
        words = ["sweep", *words, *vary_option(order)]
        return shlex.join(["python", "-m", "dait", *words, *chosen, "--out", "runs/tried"])
    return shlex.join(["python", "-m", "dait", "study", *words, *chosen])


def _shown(config: AppConfig, recipe: Recipe) -> Recipe:
    """The recipe as shown: other visitors do not learn where files are on this machine."""
    if config.paths or not Path(recipe.data.source).is_absolute():
        return recipe
    return recipe.changed({"data.source": OWN_FOLDER})


def _changes(recipe: Recipe) -> list[str]:
    """The options that change the bundled recipe of the same name into this one."""
    mine, theirs = recipe.model_dump(), load_recipe(recipe.name).model_dump()
    words: list[str] = []
    for section, value in mine.items():
        if section in NAMES:
            continue
        for key in value:
            if value[key] == theirs[section][key]:
                continue
            if (section, key) == ("data", "source"):
                words += ["--data", str(value[key])]
            elif (section, key) == ("train", "epochs"):
                words += ["--epochs", str(value[key])]
            else:
                words += ["--set", f"{section}.{key}={_flow(value[key])}"]
    return words


def _flow(value: Any) -> str:
    """A value as YAML on one line, which ``--set`` reads back unchanged."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()
