"""A recipe's file, loaded into the form: all of it, or a sentence and nothing changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from gradio.utils import deep_hash

from app.config import AppConfig
from app.train.command import recipe_file
from app.train.form import LOADED, FormValues, Loaded, read_form
from app.train.recipe import load_recipe_file, preview
from dait.config.recipe import load_recipe
from dait.errors import UserError

FORM = FormValues("tiny", "", ["independent", "dait"], 2, 3, 5, "", "")


@pytest.fixture
def own(empty_config: AppConfig) -> AppConfig:
    return replace(empty_config, paths=True)


def sent(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_what_is_saved_is_loaded_as_it_was(own: AppConfig, tmp_path: Path) -> None:
    before = read_form(own, replace(FORM, student="regnetx_002"))
    file = sent(tmp_path, recipe_file(own, before))
    values, said = load_recipe_file(own, file, FORM)
    assert read_form(own, values) == before
    assert said == "The form is filled in from mine.yaml."
    assert (values.recipe, values.student) == ("tiny", "regnetx_002")


def test_what_the_form_has_no_field_for_is_kept(own: AppConfig, tmp_path: Path) -> None:
    changes = {"train.learning_rate": 0.01, "dait.stage1_epochs": 7, "kd.temperature": 2.0}
    recipe = load_recipe("tiny").changed(changes)
    values, _ = load_recipe_file(own, sent(tmp_path, recipe.to_yaml()), replace(FORM, arms=["kd"]))
    assert values.recipe == LOADED
    order = read_form(own, values)
    assert order.recipe == recipe
    assert (order.arms, order.seeds) == (("kd",), (3, 4))
    # And the form goes on from there.
    changed = read_form(own, replace(values, epochs=recipe.train.epochs * 3)).recipe
    assert changed.dait.stage1_epochs == 21 and changed.train.learning_rate == 0.01
    assert "--set train.learning_rate=0.01" in preview(own, values)


def test_a_path_in_a_recipe_is_meant_from_where_the_app_runs(
    own: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer works in another folder."""
    monkeypatch.chdir(tmp_path)
    file = sent(tmp_path, "extends: tiny\ndata: {source: photos.zip}\n")
    values, _ = load_recipe_file(own, file, FORM)
    assert read_form(own, values).recipe.data.source == str(tmp_path / "photos.zip")


def test_only_what_differs_need_be_in_the_file(own: AppConfig, tmp_path: Path) -> None:
    file = sent(tmp_path, "extends: tiny\ntrain: {batch_size: 8}\n")
    values, _ = load_recipe_file(own, file, FORM)
    expected = load_recipe("tiny").changed({"train.batch_size": 8})
    assert read_form(own, values).recipe == expected


def test_a_stranger_trains_no_more_than_the_form_says(
    empty_config: AppConfig, tmp_path: Path
) -> None:
    file = sent(tmp_path, "extends: tiny\ntrain: {epochs: 9, batch_size: 8}\n")
    values, said = load_recipe_file(empty_config, file, FORM)
    assert "train.batch_size would be as in the recipe" in said
    assert values.epochs == 9
    assert read_form(empty_config, values).recipe == load_recipe("tiny").changed(
        {"train.epochs": 9}
    )
    forged = replace(values, recipe=LOADED, loaded=Loaded("x", load_recipe("tiny").to_yaml()))
    with pytest.raises(UserError, match="Choose a recipe"):
        read_form(empty_config, forged)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train: {epochs: 3", "mine.yaml is not valid YAML"),
        ("just words", "should be sections"),
        ("extends: tiny\ntrain: {epoch: 3}", "train.epoch: unknown key. Did you mean epochs"),
        ("extends: tiny\ntrain: {epochs: 0}", "train.epochs: found 0"),
        ("extends: ../../etc/passwd.yaml", "no bundled recipe"),
        ("extends: [tiny]", "no bundled recipe"),
        ("a: &a [x]\nb: *a", "aliases"),
        ("[" * 20_000, "nested more than 20 levels"),
        ("- " * 20_000, "nested more than 20 levels"),
        ("name: " + "x" * 600_000, "a recipe has at most"),
        ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("extends: tiny\nname: 2026-02-31", "not valid YAML"),
    ],
)
def test_a_file_that_will_not_do_is_said(
    own: AppConfig, tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        load_recipe_file(own, sent(tmp_path, text), FORM)


def test_only_text_called_yaml_is_read(own: AppConfig, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text file"):
        load_recipe_file(own, str(tmp_path / "mine.yaml"), FORM)
    with pytest.raises(UserError, match="its name must end in"):
        load_recipe_file(own, sent(tmp_path, "extends: tiny", "mine.txt"), FORM)
    with pytest.raises(UserError, match="Choose a recipe file"):
        load_recipe_file(own, None, FORM)


def test_a_form_that_starts_nothing_says_why_in_a_comment(own: AppConfig) -> None:
    said = preview(own, replace(FORM, epochs=0))
    assert said.startswith("# Epochs: give a whole number") and "\n" not in said


def test_the_page_can_see_whether_another_file_is_loaded() -> None:
    assert deep_hash(Loaded("a.yaml", "x")) != deep_hash(Loaded("a.yaml", "y"))
