"""What is to be trained, as checked values, and the command line that trains it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.studies.entries import recipe_of
from app.studies.ticket import read_ticket
from dait.config.arms import ARMS, Arm
from dait.config.recipe import Recipe, load_recipe
from dait.errors import UserError
from dait.runs.folder import StudyFolder

RECIPE_FILE = "recipe.yaml"


@dataclass(frozen=True)
class Order:
    """A study to train, from checked values.

    vary: a key of the recipe and the values to try, in place of the study; measured on validation.
    device: what to compute on; empty: the default.
    """

    recipe: Recipe
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    vary: tuple[str, tuple[Any, ...]] | None = None
    device: str = ""

    @property
    def trainings(self) -> int:
        """How often every arm is trained with every seed."""
        return 1 if self.vary is None else 1 + len(self.vary[1])


Command = Callable[[Path, Order], list[str]]


def study_command(folder: Path, order: Order) -> list[str]:
    """The command line that trains ``order`` into ``folder``, or resumes what is there."""
    words = [sys.executable, "-m", "dait", "study"]
    chosen = [
        *("--arms", ",".join(order.arms)),
        *("--seeds", ",".join(str(seed) for seed in order.seeds)),
    ]
    if order.vary is not None:  # what is measured is not run again
        recipe = [str(folder / RECIPE_FILE), "--out", str(folder)]
        return [*words[:-1], "sweep", *recipe, *vary_option(order), *chosen]
    if (folder / "study.json").exists():
        return [*words, "--resume", str(folder)]
    return [*words, str(folder / RECIPE_FILE), "--out", str(folder), *chosen]


def vary_option(order: Order) -> list[str]:
    """The option of ``sweep`` that names what is varied; empty for a study."""
    if order.vary is None:
        return []
    key, values = order.vary
    return ["--vary", f"{key}={json.dumps(list(values))}"]


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
    return Order(recipe, arms, seeds, varied_in(study), read_ticket(study).device)


def varied_in(study: StudyFolder) -> tuple[str, tuple[Any, ...]] | None:
    """What a sweep varies, of several keys the first; None for a study."""
    varied = study.status().get("vary") or {}
    return next(((str(key), tuple(values)) for key, values in varied.items()), None)
