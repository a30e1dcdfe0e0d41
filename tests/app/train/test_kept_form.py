"""What the browser kept of the form is read like any value from there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.config import AppConfig
from app.train.form import AS_IN_RECIPE
from app.train.kept_form import usable

FILLED = {
    "recipe": "tiny",
    "data": AS_IN_RECIPE,
    "teacher": AS_IN_RECIPE,
    "student": "resnet18",
    "intermediate": AS_IN_RECIPE,
    "arms": ["direct", "dait"],
    "epochs": 7,
    "seed_count": 2,
    "first_seed": 0,
}


def test_a_filled_form_comes_back_whole(empty_config: AppConfig) -> None:
    assert usable(empty_config, FILLED) == FILLED


@pytest.mark.parametrize("kept", [None, [], "text", 3, {}])
def test_what_is_no_form_changes_nothing(empty_config: AppConfig, kept: object) -> None:
    assert usable(empty_config, kept) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recipe", "gone"),
        ("data", "/etc"),
        ("data", ["x"]),
        ("arms", ["dait", "walls"]),
        ("arms", "dait"),
        ("epochs", "many"),
        ("epochs", True),
        ("epochs", float("nan")),
        ("first_seed", -1),
        ("student", "x" * 1000),
    ],
)
def test_what_the_form_cannot_have_is_left_out(
    empty_config: AppConfig, name: str, value: object
) -> None:
    found = usable(empty_config, {**FILLED, name: value})
    assert found == {key: own for key, own in FILLED.items() if key != name}


def test_a_half_filled_form_keeps_what_there_is(empty_config: AppConfig) -> None:
    assert usable(empty_config, {"epochs": None, "arms": [], "recipe": "tiny"}) == {
        "recipe": "tiny",
        "arms": [],
    }


def test_visitors_of_a_space_name_no_network(empty_config: AppConfig) -> None:
    values = {**FILLED, "student": "some_network", "teacher": "/weights"}
    assert usable(replace(empty_config, paths=True), values) == values
    found = usable(replace(empty_config, paths=False), values)
    assert "student" not in found and "teacher" not in found
