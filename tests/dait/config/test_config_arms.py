"""What an arm can be told, within which bounds, and what it says when that makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from dait.config.arms import ARMS, DEFAULT_ARMS
from dait.config.recipe import Recipe, parse_recipe
from dait.errors import UserError


def fault_of(changes: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        Recipe().changed(changes)
    return str(caught.value)


def test_who_names_no_arms_gets_the_papers_comparison() -> None:
    assert DEFAULT_ARMS == ("independent", "direct", "dait")
    assert len(set(ARMS)) == 7


@pytest.mark.parametrize(
    ("section", "weights"),
    [
        ("direct", ("classification_weight", "feature_weight", "logit_weight")),
        ("vl2lite", ("feature_weight", "logit_weight")),
        ("kd", ("classification_weight", "logit_weight")),
        ("takd", ("classification_weight", "zero_shot_weight")),
        ("takd", ("classification_weight", "logit_weight")),
        ("dait", ("classification_weight", "representation_weight", "semantic_weight")),
    ],
)
def test_nothing_to_learn_is_a_sentence(section: str, weights: tuple[str, ...]) -> None:
    none = {f"{section}.{name}": 0 for name in weights}
    sentence = fault_of(none)
    assert f"{section}: " in sentence and "nothing to learn" in sentence
    assert all(name in sentence for name in weights) and "at least one" in sentence
    one = none | {f"{section}.{weights[-1]}": 0.5}
    assert getattr(getattr(Recipe().changed(one), section), weights[-1]) == 0.5


def test_logits_of_a_head_that_never_learns_are_refused() -> None:
    silly = {"dait.classification_weight": 0, "dait.logit_weight": 2}
    sentence = fault_of(silly)
    assert "logit_weight is 2" in sentence and "never learns" in sentence
    assert Recipe().changed({**silly, "dait.teacher": "random"}).dait.logit_weight == 2


@pytest.mark.parametrize(
    "otherwise",
    [
        {"dait.teacher": "joint"},
        {"dait.teacher": "random"},
        {"dait.representation_weight": 0, "dait.semantic_weight": 0},
    ],
)
def test_class_texts_are_handed_on_only_by_who_has_learned_them(otherwise: dict[str, Any]) -> None:
    assert Recipe().changed({"dait.text_weight": 2}).dait.text_weight == 2
    assert "text_weight is 2" in fault_of({"dait.text_weight": 2, **otherwise})


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("direct.classification_weight", -0.1, 1001),
        ("vl2lite.classification_share", -0.1, 1.1),
        ("vl2lite.feature_weight", -0.1, 1001),
        ("vl2lite.logit_weight", -0.1, 1001),
        ("vl2lite.temperature", 0, 101),
        ("vl2lite.logit_scale", 0, 1001),
        ("kd.classifier_epochs", 0, 2001),
        ("kd.classification_weight", -0.1, 1001),
        ("kd.logit_weight", -0.1, 1001),
        ("kd.temperature", 0, 101),
        ("takd.assistant_epochs", 0, 2001),
        ("takd.classification_weight", -0.1, 1001),
        ("takd.zero_shot_weight", -0.1, 1001),
        ("takd.zero_shot_temperature", 0, 101),
        ("takd.logit_weight", -0.1, 1001),
        ("takd.temperature", 0, 101),
        ("dait.classification_weight", -0.1, 1001),
        ("dait.representation_weight", -0.1, 1001),
        ("dait.semantic_weight", -0.1, 1001),
        ("dait.pooled_weight", -0.1, 1001),
        ("dait.logit_weight", -0.1, 1001),
    ],
)
def test_bounds(key: str, low: float, high: float) -> None:
    for value in (low, high, float("nan")):
        assert key in fault_of({key: value})


def test_words_that_are_not_known_are_listed() -> None:
    assert "'first', 'joint' or 'random'" in fault_of({"dait.teacher": "last"})
    assert "'original'" in fault_of({"kd.views": "strong"})
    assert "'original'" in fault_of({"takd.views": "strong"})


def test_a_fault_in_a_network_that_may_be_left_out_has_near_matches() -> None:
    with pytest.raises(UserError) as caught:
        parse_recipe({"kd": {"network": {"nmae": "resnet18", "name": "resnet18"}}}, "mine")
    assert "kd.network.nmae: unknown key. Did you mean name?" in str(caught.value)


def test_a_network_is_given_whole() -> None:
    recipe = Recipe().changed({"takd.network": {"name": "resnet18", "output_stride": 16}})
    assert recipe.takd.network is not None and recipe.takd.network.output_stride == 16
    changed = recipe.changed({"takd.network.name": "resnet34"})
    assert changed.takd.network is not None and changed.takd.network.name == "resnet34"
    assert "takd.network is a value" in fault_of({"takd.network.name": "resnet34"})
