"""The command line of the form: it starts the very study that the button starts."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from app.config import AppConfig
from app.studies.order import Order
from app.train.command import NAMES, command_line, recipe_file
from app.train.form import DataSelection, FormValues, read_form
from dait.cli import parse
from dait.cli.options import chosen_recipe
from dait.cli.study import parse_arms, parse_seeds
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_names
from dait.teachers.prompts import Prompts

FORM = FormValues("tiny", "", ["independent", "dait"], 2, 3, 2, "", "")
WORDS = Prompts(("a photo of {}", "it's a “{}”: yes"), {"kiwi": ("hairy, # and: brown", "no\nfur")})
CLIP = "openclip:ViT-B-32/laion2b_s34b_b79k"
CHANGES = (
    {},
    {"recipe": "demo", "epochs": 7, "arms": ["kd"], "seed_count": 1},
    {"recipe": "few-shot", "epochs": 3},  # has a first stage, which keeps its share
    {"student": "regnetx_002", "intermediate": "lcnet_050"},
    {"recipe": "photos", "data": "folder:my fruit's"},
    {
        "recipe": "photos",
        "data": "folder:my fruit's",
        "teacher": CLIP,
        "selection": DataSelection("folder:my fruit's", 64, CLIP, WORDS),
    },
)


@pytest.fixture
def own(empty_config: AppConfig, tmp_path: Path) -> AppConfig:
    """The page on its user's own machine."""
    folder = tmp_path / "my fruit's"
    folder.mkdir()
    return replace(empty_config, data={"my fruit's": folder}, paths=True)


def typed(line: str) -> argparse.Namespace:
    """What the command line's own parser makes of it."""
    python, dash_m, dait, *words = shlex.split(line)
    assert (python, dash_m, dait) == ("python", "-m", "dait")
    return parse(words)


def nameless(recipe: Recipe) -> dict[str, object]:
    return {key: value for key, value in recipe.model_dump().items() if key not in NAMES}


@pytest.mark.parametrize("changes", CHANGES)
def test_it_means_what_the_form_orders(own: AppConfig, changes: dict[str, object]) -> None:
    order = read_form(own, replace(FORM, **changes))  # type: ignore[arg-type]
    args = typed(command_line(own, order))
    assert args.recipe == order.recipe.name
    assert nameless(chosen_recipe(args)) == nameless(order.recipe)
    assert tuple(parse_arms(args.arms)) == order.arms
    assert tuple(parse_seeds(args.seeds)) == order.seeds


def test_what_is_as_in_the_recipe_is_not_said(own: AppConfig) -> None:
    order = read_form(own, FORM)
    assert command_line(own, order) == (
        "python -m dait study tiny --arms independent,dait --seeds 3,4"
    )


def test_every_recipe_survives_its_own_changes(own: AppConfig) -> None:
    for name in recipe_names():
        recipe = load_recipe(name).changed(
            {"train.learning_rate": 1e-7, "teacher.templates": ["null: {}", "[{}", "'{}"]}
        )
        args = typed(command_line(own, Order(recipe, ("dait",), (0,))))
        args.data = None if recipe.data.source != OWN_FOLDER else str(own.data["my fruit's"])
        found = nameless(chosen_recipe(args))
        assert found["train"] == nameless(recipe)["train"]
        assert found["teacher"] == nameless(recipe)["teacher"]


def test_a_recipe_of_ones_own_is_a_file(own: AppConfig, tmp_path: Path) -> None:
    recipe = load_recipe("tiny").model_copy(update={"name": "mine"})
    order = Order(recipe, ("direct",), (5,))
    line = command_line(own, order)
    assert line == "python -m dait study mine.yaml --arms direct --seeds 5"
    text = recipe_file(own, order)
    assert text.startswith(f"# {line}\n")
    assert Recipe.model_validate(yaml.safe_load(text)) == recipe


def test_a_line_that_nobody_can_read_names_the_file_instead(own: AppConfig) -> None:
    recipe = load_recipe("tiny").changed(
        {"teacher.descriptions": {f"class {k}": ["a very long sentence" * 9] for k in range(40)}}
    )
    line = command_line(own, Order(recipe, ("direct",), (5,)))
    assert line == "python -m dait study tiny.yaml --arms direct --seeds 5"


def test_strangers_are_not_told_where_photographs_lie(own: AppConfig) -> None:
    stranger = replace(own, paths=False)
    order = read_form(stranger, replace(FORM, recipe="photos", data="folder:my fruit's"))
    for said in (command_line(stranger, order), recipe_file(stranger, order)):
        assert "my fruit" not in said
    assert "--data" not in command_line(stranger, order)
    assert OWN_FOLDER in recipe_file(stranger, order)
