"""From the form's values to an order, or to a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.place import SPACE_LIMITS, Place
from app.train_form import (
    FormValues,
    data_choices,
    network_choices,
    read_form,
    recipe_choices,
)
from dait.errors import UserError
from dait.recipe import load_recipe

GOOD = FormValues(
    recipe="tiny",
    data="",
    arms=["dait", "independent"],
    seed_count=2,
    first_seed=3,
    epochs=5,
    student="",
    intermediate="",
)


def test_values_make_an_order(empty_place: Place) -> None:
    order = read_form(empty_place, GOOD)
    assert order.arms == ("independent", "dait")
    assert order.seeds == (3, 4)
    assert order.recipe == load_recipe("tiny").changed({"train.epochs": 5})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recipe": "../../etc/passwd"}, "Choose a recipe"),
        ({"recipe": None}, "Choose a recipe"),
        ({"data": "/etc"}, "from the list"),
        ({"data": "folder:../secret"}, "from the list"),
        ({"arms": []}, "at least one arm"),
        ({"arms": None}, "at least one arm"),
        ({"arms": ["dait", "magic"]}, "at least one arm"),
        ({"seed_count": 6}, "Seeds: give a whole number from 1 to 5, not 6"),
        ({"seed_count": 1.5}, "Seeds"),
        ({"first_seed": -1}, "First seed"),
        ({"epochs": None}, "Epochs: give a whole number from 1 to 2000, not nothing"),
        ({"epochs": 0}, "Epochs"),
        ({"epochs": float("nan")}, "Epochs"),
        ({"epochs": "many"}, "Epochs"),
        ({"student": "/models/evil"}, "network from the list"),
        ({"intermediate": "hf-hub:someone/something"}, "network from the list"),
    ],
)
def test_a_value_that_will_not_do_is_named(
    empty_place: Place, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_form(empty_place, replace(GOOD, **changes))


def test_a_public_space_bounds_what_is_started(empty_place: Place) -> None:
    space = replace(empty_place, limits=SPACE_LIMITS)
    read_form(space, replace(GOOD, epochs=SPACE_LIMITS.epochs, seed_count=1))
    with pytest.raises(UserError, match="Duplicate this Space"):
        read_form(space, replace(GOOD, epochs=SPACE_LIMITS.epochs + 1, seed_count=1))
    with pytest.raises(UserError, match="Duplicate this Space"):
        read_form(space, replace(GOOD, epochs=1, seed_count=2))


def test_another_network_keeps_the_stride_where_it_can(empty_place: Place) -> None:
    order = read_form(empty_place, replace(GOOD, student="regnetx_002"))
    usual = load_recipe("tiny").student
    assert (order.recipe.student.name, order.recipe.student.options) == ("regnetx_002", {})
    assert order.recipe.student.output_stride == usual.output_stride
    assert order.recipe.intermediate == load_recipe("tiny").intermediate


def test_another_network_takes_its_own_stride_where_it_must(empty_place: Place) -> None:
    order = read_form(empty_place, replace(GOOD, intermediate="lcnet_050"))
    assert order.recipe.intermediate.output_stride == 32


def test_folders_of_photographs_are_offered_by_name(empty_place: Place, tmp_path: Path) -> None:
    place = replace(empty_place, data={"fruit": tmp_path / "fruit"})
    assert ("fruit (folder)", "folder:fruit") in data_choices(place)
    with pytest.raises(UserError, match="recipe for photographs"):
        read_form(place, replace(GOOD, data="folder:fruit"))


def test_every_choice_of_the_form_is_accepted(empty_place: Place) -> None:
    for _, name in recipe_choices():
        if name != "photos":
            read_form(empty_place, replace(GOOD, recipe=name))
    assert network_choices()[0][1] == ""
    assert recipe_choices()[0][1] == "demo"


def test_a_recipe_for_photographs_asks_for_them(empty_place: Place) -> None:
    with pytest.raises(UserError, match="choose a folder under Data"):
        read_form(empty_place, replace(GOOD, recipe="photos"))
