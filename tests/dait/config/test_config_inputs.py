"""How photographs are framed: as a recipe says, as studies from before said nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dait.config.inputs import DataConfig
from dait.config.recipe import Recipe, load_recipe, parse_recipe, recipe_names
from dait.data.images.frame import Framing
from dait.errors import UserError

BEFORE = {
    "source": "photos",
    "size": 112,
    "seed": 0,
    "habitat_bias": 0.7,
    "train_per_class": 30,
    "val_per_class": 8,
    "test_per_class": 25,
    "species": 40,
    "val_fraction": 0.1,
}
"""What the first version wrote down of its data."""


def test_photographs_have_the_margin_of_the_published_protocols() -> None:
    assert DataConfig(source="photos", size=224).framing == Framing(224, 0.875, "crop")
    assert Framing(224, 0.875, "crop").short_side == 256
    for name in recipe_names():
        data = load_recipe(name).data
        drawn = data.source == "fieldguide"
        assert data.framing.short_side == (data.size if drawn else round(data.size / 0.875)), name


def test_the_field_guide_is_drawn_without_a_margin() -> None:
    assert Recipe().data.framing == Framing(96)


def test_a_study_from_before_is_read_as_what_it_was() -> None:
    plain = Framing(112, 1.0, "square")
    assert DataConfig.model_validate(BEFORE).framing == plain
    later = {**BEFORE, "differing": 2, "label_noise": 0.0, "long_tail": 1.0}
    recipe = parse_recipe({"data": later}, "study.json")
    assert recipe.data.framing == plain
    assert parse_recipe(yaml.safe_load(recipe.to_yaml()), "config.yaml") == recipe
    assert recipe.changed({"train.epochs": 2}).data.framing == plain
    drawn = DataConfig.model_validate({**BEFORE, "source": "fieldguide"})
    assert drawn == DataConfig(size=112)


def test_a_recipe_of_a_few_lines_is_none_from_before(tmp_path: Path) -> None:
    for lines in ("{source: photos}", "{source: photos, size: 64, val_fraction: 0.2, seed: 1}"):
        (tmp_path / "mine.yaml").write_text(f"data: {lines}\n")
        assert load_recipe(str(tmp_path / "mine.yaml")).data.fit == "crop"
    now = {**BEFORE, "fit": "letterbox"}
    assert DataConfig.model_validate(now).framing == Framing(112, 0.875, "letterbox")


@pytest.mark.parametrize(
    ("key", "value"),
    [("crop_pct", 0.3), ("crop_pct", 1.2), ("crop_pct", "nan"), ("fit", "stretch")],
)
def test_a_framing_that_cannot_be_is_refused(key: str, value: object) -> None:
    with pytest.raises(UserError, match=f"data.{key}: found"):
        Recipe().changed({f"data.{key}": value})
