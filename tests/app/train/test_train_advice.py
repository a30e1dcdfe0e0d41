"""Before you train: who may ask, what the page says, and what it takes over into the form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.config import SPACE_LIMITS, AppConfig, read_config
from app.studies.order import Order
from app.train.advice import Advisor, advice_html, map_figure, with_reference
from dait.config.recipe import load_recipe
from dait.errors import UserError
from dait.evaluation.advice import Advice
from dait.evaluation.regimes import Measured

ADVICE = Advice(
    recommended=("dait", "dho"),
    expected={"independent": (0.5, 0.62), "dho": (0.58, 0.7), "dait": (0.6, 0.71)},
    why="The teacher names <b>half</b>. In the nearest regimes dait did best.",
    distance=0.1,
    measured=Measured(
        classes=2, labelled=5, unlabelled=0, zero_shot=0.5, probe=0.6, start_probe=0.4
    ),
    seconds=250.0,
)
ORDER = Order(load_recipe("tiny"), ("dait",), (0,))


def test_the_sentences_and_the_table() -> None:
    html = advice_html(ADVICE)
    assert "The teacher names &lt;b&gt;half" in html
    assert "takes about 4 minutes here" in html
    rows = [row for row in html.split("<tr>") if "%" in row]
    assert ["recommended" in row for row in rows] == [False, True, True]
    assert "60 to 71 %" in rows[2] and "DAIT" in rows[2]
    assert "one seed" not in advice_html(replace(ADVICE, seconds=None))


def test_labels_alone_are_trained_beside_the_recommended_arms() -> None:
    assert with_reference(["dait", "dho"]) == ["independent", "dho", "dait"]
    assert with_reference(["independent"]) == ["independent"]


def test_without_a_map_nothing_is_measured(empty_config: AppConfig, tmp_path: Path) -> None:
    config = replace(empty_config, regimes=tmp_path / "none.jsonl")
    advisor = Advisor(config)
    with pytest.raises(UserError, match="There is no map of regimes"):
        advisor.task(ORDER)
    with pytest.raises(UserError, match="There is no map of regimes"):
        map_figure(config, "zero_shot", 1280)


def test_only_what_may_be_trained_is_measured(
    empty_config: AppConfig, map_of_regimes: Path
) -> None:
    config = replace(empty_config, regimes=map_of_regimes, limits=SPACE_LIMITS)
    recipe = load_recipe("tiny").changed({"train.epochs": 60})
    with pytest.raises(UserError, match="Duplicate this Space"):
        Advisor(config).task(Order(recipe, ("dait",), (0,)))


def test_the_map_by_either_strength(empty_config: AppConfig, map_of_regimes: Path) -> None:
    config = replace(empty_config, regimes=map_of_regimes)
    titles = [
        json.loads(map_figure(config, against, 1280))["layout"]["xaxis"]["title"]["text"]
        for against in ("zero_shot", "probe", ["no such"])
    ]
    assert "zero-shot" in titles[0] and "probe" in titles[1] and titles[2] == titles[0]


def test_the_environment_may_name_a_map(map_of_regimes: Path) -> None:
    assert read_config({"DAIT_REGIMES": str(map_of_regimes)}).regimes == map_of_regimes
