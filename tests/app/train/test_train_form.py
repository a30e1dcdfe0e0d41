"""From the form's values to an order, or to a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gradio.utils import deep_hash

from app.config import SPACE_LIMITS, AppConfig
from app.train.form import (
    DataSelection,
    FormValues,
    data_choices,
    network_choices,
    read_form,
    recipe_choices,
    recipe_for,
    teachers,
)
from dait.config.recipe import load_recipe
from dait.errors import UserError
from dait.teachers.prompts import Prompts

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


def test_values_make_an_order(empty_config: AppConfig) -> None:
    order = read_form(empty_config, GOOD)
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
        ({"teacher": "openclip-local:/etc"}, "teacher from the list"),
        ({"data": "upload:../../x.zip"}, "was deleted"),
        ({"data": "path:/etc"}, "from the list"),
    ],
)
def test_a_value_that_will_not_do_is_named(
    empty_config: AppConfig, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_form(empty_config, replace(GOOD, **changes))


def test_a_public_space_bounds_what_is_started(empty_config: AppConfig) -> None:
    space = replace(empty_config, limits=SPACE_LIMITS)
    read_form(space, replace(GOOD, epochs=SPACE_LIMITS.epochs, seed_count=1))
    with pytest.raises(UserError, match="Duplicate this Space"):
        read_form(space, replace(GOOD, epochs=SPACE_LIMITS.epochs + 1, seed_count=1))
    with pytest.raises(UserError, match="Duplicate this Space"):
        read_form(space, replace(GOOD, epochs=1, seed_count=2))


def test_another_network_keeps_the_stride_where_it_can(empty_config: AppConfig) -> None:
    order = read_form(empty_config, replace(GOOD, student="regnetx_002"))
    usual = load_recipe("tiny").student
    assert (order.recipe.student.name, order.recipe.student.options) == ("regnetx_002", {})
    assert order.recipe.student.output_stride == usual.output_stride
    assert order.recipe.intermediate == load_recipe("tiny").intermediate


def test_another_network_takes_its_own_stride_where_it_must(empty_config: AppConfig) -> None:
    order = read_form(empty_config, replace(GOOD, intermediate="lcnet_050"))
    assert order.recipe.intermediate.output_stride == 32


def test_the_machines_user_may_name_any_network(empty_config: AppConfig) -> None:
    with pytest.raises(UserError, match="network from the list"):
        read_form(empty_config, replace(GOOD, student="lcnet_035"))
    own = replace(empty_config, paths=True)
    order = read_form(own, replace(GOOD, student="lcnet_035"))
    assert (order.recipe.student.name, order.recipe.student.output_stride) == ("lcnet_035", 32)
    with pytest.raises(UserError, match="Did you mean lcnet_035"):
        read_form(own, replace(GOOD, student="lcnet_036"))
    with pytest.raises(UserError, match="halonet26t does not take images of 48 px"):
        read_form(own, replace(GOOD, student="halonet26t"))


def test_folders_of_photographs_are_offered_by_name(
    empty_config: AppConfig, tmp_path: Path
) -> None:
    config = replace(empty_config, data={"fruit": tmp_path / "fruit"})
    assert ("fruit (folder)", "folder:fruit") in data_choices(config)
    photos = read_form(config, replace(GOOD, recipe="photos", data="folder:fruit")).recipe
    assert photos.data.source == str(tmp_path / "fruit")
    with pytest.raises(UserError, match="recipe for photographs"):
        read_form(config, replace(GOOD, data="folder:fruit"))


def test_every_choice_of_the_form_is_accepted(empty_config: AppConfig) -> None:
    for _, name in recipe_choices():
        if name != "photos":
            read_form(empty_config, replace(GOOD, recipe=name))
    assert [name for _, name in network_choices()[:2]] == ["", "resnet18"]
    assert recipe_choices()[0][1] == "demo"


def test_a_recipe_for_photographs_asks_for_them(empty_config: AppConfig) -> None:
    with pytest.raises(UserError, match="choose a folder under Data"):
        read_form(empty_config, replace(GOOD, recipe="photos"))


HANDED = DataSelection(
    data="folder:fruit",
    size=64,
    teacher="openclip:ViT-B-32/laion2b_s34b_b79k",
    prompts=Prompts(("a {}", "openai"), {"kiwi": ("hairy",)}),
)


def test_what_the_data_tab_hands_over_is_what_is_trained(
    empty_config: AppConfig, tmp_path: Path
) -> None:
    config = replace(empty_config, data={"fruit": tmp_path}, paths=True)
    values = replace(
        GOOD, recipe="photos", data=HANDED.data, teacher=HANDED.teacher, selection=HANDED
    )
    recipe = read_form(config, values).recipe
    assert (recipe.data.source, recipe.data.size) == (str(tmp_path), 64)
    assert recipe.teacher.name == HANDED.teacher
    assert recipe.teacher.prompts == HANDED.prompts
    assert "64 px" in HANDED.describe("fruit") and "2 templates" in HANDED.describe("fruit")


def test_it_holds_for_its_own_data_alone(empty_config: AppConfig, tmp_path: Path) -> None:
    config = replace(empty_config, data={"fruit": tmp_path, "nuts": tmp_path}, paths=True)
    for data, handed in (("folder:nuts", HANDED), ("", HANDED), ("folder:nuts", "anything")):
        recipe = "photos" if data else "demo"
        found = read_form(config, replace(GOOD, recipe=recipe, data=data, selection=handed)).recipe
        assert found.data.size == load_recipe(recipe).data.size
        assert not found.teacher.prompts


def test_prompts_for_a_teacher_that_reads_nothing_are_refused(
    empty_config: AppConfig, tmp_path: Path
) -> None:
    config = replace(empty_config, data={"fruit": tmp_path})
    values = replace(GOOD, recipe="photos", data=HANDED.data, selection=HANDED)
    with pytest.raises(UserError, match="imagenet-lite2 sees images only"):
        read_form(config, values)


def test_another_teacher_sees_the_images_as_large_as_they_are(
    empty_config: AppConfig, tmp_path: Path
) -> None:
    config = replace(empty_config, data={"fruit": tmp_path})
    values = replace(GOOD, data="folder:fruit", teacher="imagenet-lite0")
    recipe = read_form(config, values).recipe
    assert recipe.teacher.name == "imagenet-lite0"
    assert recipe.teacher.image_size == recipe.data.size == load_recipe("tiny").data.size
    assert ("As in the recipe", "") in teachers(config)
    photos = load_recipe("photos")
    named = replace(values, recipe="photos", teacher=photos.teacher.name)
    assert read_form(config, named).recipe.teacher == photos.teacher


def test_the_recipe_stays_where_it_suits_the_data() -> None:
    assert recipe_for("fieldguide", "demo") == "demo"
    assert recipe_for("fieldguide", "tiny") == "demo"  # which has other species than were seen
    assert recipe_for("folder:fruit", "photos") == "photos"
    assert recipe_for("folder:fruit", "demo") == "photos"
    assert recipe_for("folder:fruit", "../evil") == "photos"


def test_the_page_can_see_whether_what_is_handed_over_has_changed() -> None:
    written = Prompts(("a {}",), {"owl": ("a round head",)})
    states = [
        DataSelection("photos.zip", 48, "a-teacher", written),
        DataSelection("photos.zip", 64, "", written),
    ]
    assert deep_hash(states[0]) != deep_hash(states[1])
