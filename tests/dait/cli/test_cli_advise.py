"""``dait advise``: what it measures, prints and refuses; the same by ``dait.advise``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import dait
from dait.config.recipe import Recipe

Command = Callable[..., int]


def test_the_arms_that_are_worth_it(
    command: Command,
    recipe_file: Path,
    map_of_regimes: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ("advise", "fieldguide", "--recipe", recipe_file, "--map", map_of_regimes)
    assert command(*asked, "--set", "train.epochs=3", "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found["expected"]) == {"independent", "direct", "dait"}
    assert found["recommended"][0] in found["expected"]
    measured = found["measured"]
    assert (measured["classes"], measured["labelled"], measured["unlabelled"]) == (6, 4, 0)
    assert found["why"].count(". ") == 1


def test_the_python_api_measures_a_folder_or_a_name(
    small_recipe: Recipe, map_of_regimes: Path
) -> None:
    advice = dait.advise("fieldguide", small_recipe, regimes=map_of_regimes)
    assert advice.recommended and advice.seconds is not None and advice.seconds > 0
    assert advice.measured.classes == 6


def test_how_often_it_is_right(
    command: Command, map_of_regimes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("advise", "--map", map_of_regimes, "--score", map_of_regimes) == 0
    assert capsys.readouterr().out == "2 of 2\n"


def test_what_is_missing_is_said_before_anything_is_measured(
    command: Command, map_of_regimes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("advise", "--map", map_of_regimes) != 0
    assert "Name the data" in capsys.readouterr().err
    assert command("advise", tmp_path, "--map", tmp_path / "none.jsonl") != 0
    assert "There is no map of regimes" in capsys.readouterr().err
    alone = tmp_path / "without.jsonl"
    lines = map_of_regimes.read_text().splitlines()
    alone.write_text("\n".join(line for line in lines if '"independent"' not in line))
    assert command("advise", tmp_path, "--map", alone) != 0
    assert "no regime with labels alone" in capsys.readouterr().err
