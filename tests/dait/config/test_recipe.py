from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from dait.arms.catalogue import plan_of
from dait.config.arms import ARMS, DEFAULT_ARMS
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, parse_recipe, recipe_names
from dait.errors import UserError
from dait.models.network import build_network
from dait.models.spec import NetworkSpec
from dait.teachers.prompts import reads_prompts


def fault_of(raw: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse_recipe(raw, "mine")
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "place", "near"),
    [
        ({"trian": {}}, "trian", "train"),
        ({"train": {"epoch": 3}}, "train.epoch", "epochs"),
        ({"dait": {"spatial_wieght": 1}}, "dait.spatial_wieght", "spatial_weight"),
        ({"student": {"nmae": "resnet18"}}, "student.nmae", "name"),
        ({"data": {"sizes": 64}}, "data.sizes", "size"),
    ],
)
def test_an_unknown_key_names_its_place_and_near_matches(
    raw: dict[str, Any], place: str, near: str
) -> None:
    sentence = fault_of(raw)
    assert f"{place}: unknown key. Did you mean {near}" in sentence
    assert "recipe mine" in sentence and "Known here:" in sentence


def test_an_unknown_key_like_no_other_lists_what_is_known() -> None:
    sentence = fault_of({"views": {"zzz": 1}})
    assert "views.zzz: unknown key. Known here: kind, distinct, cache." in sentence


def test_unknown_network_options_name_near_matches() -> None:
    assert "channels" in fault_of({"student": {"name": "resnet10t", "options": {"channel": [8]}}})


def test_every_fault_has_its_line() -> None:
    sentence = fault_of({"train": {"epochs": 0, "batch": 3}, "data": {"size": "big"}})
    lines = sentence.splitlines()[1:]
    assert len(lines) == 3
    assert any("train.epochs: found 0." in line and "greater" in line for line in lines)
    assert any("data.size: found 'big'." in line for line in lines)


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("data.size", 31, 513),
        ("data.habitat_bias", -0.1, 1.1),
        ("data.species", 1, 41),
        ("train.epochs", 0, 2001),
        ("train.batch_size", 1, 4097),
        ("train.learning_rate", 0, 11),
        ("train.label_smoothing", -0.1, 1.0),
        ("direct.temperature", 0, 101),
        ("dait.spatial_weight", -1, 1001),
        ("dait.stage1_epochs", 0, 2001),
    ],
)
def test_bounds(key: str, low: float, high: float) -> None:
    for value in (low, high, float("nan")):
        with pytest.raises(UserError, match=key):
            Recipe().changed({key: value})


def test_a_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        Recipe().train.epochs = 3  # type: ignore[misc]


def test_changed_replaces_dotted_keys_and_nothing_else() -> None:
    recipe = load_recipe("tiny")
    changed = recipe.changed(
        {"train.epochs": 9, "views.kind": "light", "student.options.stem_width": 16}
    )
    assert (changed.train.epochs, changed.views.kind) == (9, "light")
    assert changed.student.options["stem_width"] == 16
    assert changed.student.options["channels"] == recipe.student.options["channels"]
    assert recipe.train.epochs == 2
    assert (
        changed.changed(
            {"train.epochs": 2, "views.kind": recipe.views.kind, "student.options.stem_width": 8}
        )
        == recipe
    )


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("train.epoch", "unknown key 'epoch'. Did you mean epochs"),
        ("trian.epochs", "unknown key 'trian'. Did you mean train"),
        ("nothing", "unknown key 'nothing'"),
        ("train.epochs.more", "train.epochs is a value"),
        ("student.options.channel", "channels"),
        ("", "unknown key ''"),
    ],
)
def test_changing_what_is_not_there_is_a_sentence(key: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("tiny").changed({key: 1})
    assert sentence in str(caught.value)


def test_yaml_holds_the_whole_recipe_and_comes_back(tmp_path: Path) -> None:
    recipe = load_recipe("demo").changed({"dait.stage1_epochs": 7, "title": "Vögel × 2"})
    path = tmp_path / "mine.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(str(path)) == recipe
    whole = yaml.safe_load(recipe.to_yaml())
    assert whole.keys() == Recipe.model_fields.keys()
    assert whole["train"].keys() == type(recipe.train).model_fields.keys()
    assert "Vögel × 2" in recipe.to_yaml()


def test_the_recipes_that_come_along() -> None:
    assert {"demo", "tiny"} <= set(recipe_names())
    networks = dict[tuple[str, int, int], NetworkSpec]()
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.name == name and recipe.title
        for spec in (recipe.student, recipe.intermediate):
            untrained = spec.model_copy(update={"pretrained": False})
            described = untrained.model_dump_json(), recipe.data.species, recipe.data.size
            networks[described] = untrained
    for (described, classes, size), untrained in networks.items():
        network = build_network(untrained, classes, size)
        assert min(network.map_size) >= 6, described


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train: [", "is not valid YAML"),
        ("", "is not a recipe"),
        ("- train", "is not a recipe"),
        ("train: 3", "train: found 3"),
        ("train: {epochs: !!python/object/apply:os.getcwd []}", "is not valid YAML"),
        ("1: 2", "1"),
    ],
)
def test_a_file_that_is_no_recipe_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_recipe(str(path))
    assert sentence in str(caught.value) and "mine.yaml" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_recipe(str(tmp_path / "none.yaml"))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UserError, match="cannot be read"):
        load_recipe(str(tmp_path / "bytes.yaml"))


def test_an_unknown_name_has_near_matches() -> None:
    with pytest.raises(UserError, match=r"'dmo'\. Did you mean demo\?.*tiny"):
        load_recipe("dmo")
    with pytest.raises(UserError, match="Known: demo"):
        load_recipe("../../etc/passwd")


def test_a_recipe_of_an_earlier_version_says_its_name_of_now(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="recipe quick is called photos now"):
        load_recipe("quick")
    with pytest.raises(UserError, match="called photos now"):
        load_recipe(written(tmp_path, "mine", "extends: quick\n"))


def test_photographs_meet_networks_that_start_from_imagenet() -> None:
    recipe = load_recipe("photos")
    assert recipe.data.source == OWN_FOLDER
    assert recipe.teacher.name == "imagenet-lite2" and not reads_prompts(recipe.teacher.name)
    starts = {"student": recipe.student, "teacher": recipe.intermediate}
    assert {role: (spec.name, spec.weights) for role, spec in starts.items()} == {
        "student": ("tf_efficientnet_lite0", "package:efficientnet-lite0"),
        "teacher": ("tf_efficientnet_lite2", "package:efficientnet-lite2"),
    }
    for arm in ("kd", "takd", "dait"):  # whoever teaches starts from the same weights
        assert plan_of(arm).stages(recipe)[0].network == recipe.intermediate


def test_reading_recipes_imports_neither_torch_nor_timm() -> None:
    code = (
        "import sys, dait.config.recipe as r; [r.load_recipe(name) for name in r.recipe_names()];"
        "print(sorted({'torch', 'timm', 'gradio', 'open_clip'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_arms() -> None:
    assert ARMS == ("independent", "direct", "vl2lite", "dho", "kd", "takd", "dait")
    assert set(DEFAULT_ARMS) < set(ARMS)


def written(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def test_a_recipe_that_extends_another_changes_keys_and_whole_networks(tmp_path: Path) -> None:
    mine = written(
        tmp_path,
        "mine",
        "extends: demo\nname: mine\ntrain: {epochs: 3}\nstudent: {name: resnet18}\n",
    )
    recipe, demo = load_recipe(mine), load_recipe("demo")
    assert recipe.name == "mine" and recipe.train.epochs == 3
    assert recipe.train.learning_rate == demo.train.learning_rate != 0.001
    assert recipe.student.options == {} != demo.student.options
    assert recipe.intermediate == demo.intermediate


def test_a_file_may_extend_a_file_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "base", "extends: tiny\ntrain: {epochs: 7}\n")
    top = written(tmp_path, "top", "extends: base.yaml\ntrain: {batch_size: 8}\n")
    recipe = load_recipe(top)
    assert (recipe.train.epochs, recipe.train.batch_size) == (7, 8)
    assert recipe.data == load_recipe("tiny").data


def test_recipes_that_extend_each_other_or_nothing_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path, "one", "extends: two.yaml\n")
    written(tmp_path, "two", "extends: one.yaml\n")
    with pytest.raises(UserError, match=r"extends itself: .*one\.yaml"):
        load_recipe(one)
    with pytest.raises(UserError, match=r"nothing\.yaml cannot be read"):
        load_recipe(written(tmp_path, "three", "extends: nothing.yaml\n"))


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("paper-")])
def test_a_papers_recipe_names_a_published_data_set_and_its_own_source(name: str) -> None:
    from dait.data.benchmarks.catalogue import benchmarks

    recipe, first = load_recipe(name), load_recipe("paper-aircraft")
    assert recipe.data.source in benchmarks()
    assert recipe.train == first.train and recipe.student == first.student
    assert recipe.expected and recipe.name == name
