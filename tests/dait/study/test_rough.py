"""A first guess of a study's time grows with what is trained."""

from __future__ import annotations

import pytest

from dait.config.recipe import load_recipe
from dait.study import rough
from dait.study.rough import rough_seconds


def test_more_of_everything_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("tiny")
    assert rough_seconds(recipe, ["direct"], [0]) > 0  # real passes
    monkeypatch.setattr(rough, "_pass_seconds", lambda *of: 0.001)
    one = rough_seconds(recipe, ["direct"], [0])
    assert rough_seconds(recipe, ["direct"], [0, 1]) == pytest.approx(2 * one)
    assert rough_seconds(recipe, ["dait"], [0]) > one
    more = recipe.changed({"train.epochs": 2 * recipe.train.epochs})
    assert one < rough_seconds(more, ["direct"], [0]) < 2 * one + 1e-9
