"""An order as a person would type it, and as a file that they would keep."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml

from app.config import AppConfig
from app.studies.order import Order
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_names

LONGEST = 4000
"""Characters of a command line; beyond, as with sentences about many classes, it names a file."""

NAMES = ("name", "title", "expected")
"""What a recipe is called changes nothing of what is trained."""


def command_line(config: AppConfig, order: Order) -> str:
    """What starts the order from a terminal in the project's folder.

    It names the recipe that comes along with what differs from it, or the file of ``recipe_file``
    where there is no such recipe, or too much differs.
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
    """What the file of ``recipe_file`` is called."""
    return f"{recipe.name}.yaml"


def _typed(words: list[str], order: Order) -> str:
    seeds = ",".join(str(seed) for seed in order.seeds)
    chosen = ["--arms", ",".join(order.arms), "--seeds", seeds]
    return shlex.join(["python", "-m", "dait", "study", *words, *chosen])


def _shown(config: AppConfig, recipe: Recipe) -> Recipe:
    """Strangers are not told where things lie on this machine."""
    if config.paths or not Path(recipe.data.source).is_absolute():
        return recipe
    return recipe.changed({"data.source": OWN_FOLDER})


def _changes(recipe: Recipe) -> list[str]:
    """The options that make a recipe out of the one of its name that comes along."""
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
    """A value in YAML on one line, which ``--set`` reads back as it was."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()
