"""The form for a study that there is: what starting it trains, and what it does not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.config import SPACE_LIMITS, AppConfig
from app.studies.order import Order
from app.train.again import form_for
from app.train.form import DataSelection, FormValues, read_form
from dait.config.recipe import load_recipe
from dait.teachers.prompts import Prompts

FORM = FormValues(
    recipe="tiny",
    data="",
    arms=["independent", "dait"],
    seed_count=2,
    first_seed=3,
    epochs=5,
    student="",
    intermediate="",
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"recipe": "demo", "epochs": 30},
        {"student": "regnetx_002"},
        {"recipe": "photos", "data": "folder:fruit"},
        {
            "recipe": "photos",
            "data": "folder:fruit",
            "selection": DataSelection("folder:fruit", 64, "fieldguide-clip", Prompts()),
        },
    ],
)
def test_what_the_form_ordered_it_orders_again(
    empty_config: AppConfig, tmp_path: Path, changes: dict[str, object]
) -> None:
    config = replace(empty_config, data={"fruit": tmp_path / "fruit"}, paths=True)
    order = read_form(config, replace(FORM, **changes))  # type: ignore[arg-type]
    values, differs = form_for(config, order)
    assert differs == ""
    assert read_form(config, values) == order


def test_what_the_form_cannot_say_is_told(empty_config: AppConfig) -> None:
    recipe = load_recipe("tiny").changed({"train.momentum": 0.5, "train.learning_rate": 0.01})
    _, differs = form_for(empty_config, Order(recipe, ("dait",), (1, 7)))
    assert "train.momentum, train.learning_rate and seeds" in differs


def test_a_recipe_of_ones_own_is_likened_to_the_usual_one(empty_config: AppConfig) -> None:
    recipe = load_recipe("demo").model_copy(update={"name": "mine"})
    values, differs = form_for(empty_config, Order(recipe, ("dait",), (0,)))
    assert (values.recipe, differs) == ("demo", "")


def test_data_that_is_gone_is_told(empty_config: AppConfig) -> None:
    recipe = load_recipe("photos").changed({"data.source": "/nowhere/fruit"})
    values, differs = form_for(empty_config, Order(recipe, ("dait",), (0,)))
    assert values.data == "" and "choose a folder under Data" in differs


def test_more_than_is_started_here_is_cut_and_told(empty_config: AppConfig) -> None:
    space = replace(empty_config, limits=SPACE_LIMITS)
    values, differs = form_for(space, Order(load_recipe("demo"), ("dait",), (0, 1, 2)))
    assert (values.epochs, values.seed_count) == (SPACE_LIMITS.epochs, 1)
    assert "train.epochs" in differs and "seeds" in differs
