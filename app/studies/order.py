"""What is to be trained, as checked values, and the command line that trains it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.studies.entries import recipe_of
from dait.config.arms import ARMS, Arm
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError
from dait.runs.folder import StudyFolder

RECIPE_FILE = "recipe.yaml"


@dataclass(frozen=True)
class Order:
    """A study to train, from checked values."""

    recipe: Recipe
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]


Command = Callable[[Path, Order], list[str]]


def study_command(folder: Path, order: Order) -> list[str]:
    """The command line that trains ``order`` into ``folder``, or resumes what is there."""
    words = [sys.executable, "-m", "dait", "study"]
    if (folder / "study.json").exists():
        return [*words, "--resume", str(folder)]
    return [
        *(*words, str(folder / RECIPE_FILE), "--out", str(folder)),
        *("--arms", ",".join(order.arms)),
        *("--seeds", ",".join(str(seed) for seed in order.seeds)),
    ]


def order_of(study: StudyFolder) -> Order:
    """The order of an existing study. Raises ``UserError`` if it cannot be read."""
    if (study.path / "study.json").exists():
        description, recipe = study.description(), recipe_of(study)
    else:
        description, recipe = study.status(), load_recipe(str(study.path / RECIPE_FILE))
    arms = tuple(arm for arm in ARMS if arm in (description.get("arms") or ()))
    seeds = tuple(description.get("seeds") or ())
    if not arms or not seeds:
        raise UserError(f"{study.path.name} does not say which arms and seeds it trains.")
    return Order(recipe, arms, seeds)
