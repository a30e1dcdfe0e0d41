"""What is said of a teacher where it is chosen: figures that are true of this data, or how to get
them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.catalogue.teacher_figures import form_html, others_html, recipe_html
from app.config import PROJECT, AppConfig
from app.studies.entries import finished_studies
from dait.config.recipe import Recipe, parse_recipe
from dait.data.sources.registry import open_dataset
from dait.teachers.prompts import Prompts
from dait.teachers.zero_shot_figures import remember_zero_shot

FIGURES = {"top1": 0.4321, "top5": 0.8764, "top1_interval": [0.4, 0.5], "n_test": 320}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def teacher(tiny_study: Path) -> Any:
    """What is remembered of the tiny study's teacher besides its figures."""
    name = json.loads((tiny_study / "study.json").read_text())["recipe"]["teacher"]["name"]
    return SimpleNamespace(name=name, weights_hash="0", image_size=32, reads_text=True)


@pytest.fixture
def recipe(teacher: Any) -> Recipe:
    raw = {"name": "mine", "data": {"size": 48}, "teacher": {"name": teacher.name}}
    return parse_recipe(raw, "mine")


def measure(
    teacher: Any,
    prompts: Prompts | None = None,
    warnings: tuple[str, ...] = (),
    **options: Any,
) -> None:
    data = open_dataset("fieldguide", **options)
    kept = {"called": "fieldguide", "prompts": prompts, "warnings": warnings}
    remember_zero_shot(teacher, data, "val", FIGURES, **kept)


def plain(html: str) -> str:
    return html.replace("\u00a0", " ")


def test_what_was_measured_on_this_data_is_said(
    empty_config: AppConfig, teacher: Any, recipe: Recipe
) -> None:
    measure(teacher, size=48)
    said = plain(recipe_html(empty_config, recipe))
    assert "43.2 % of this data's 320 val images correctly" in said and "top-5 87.6 %" in said
    assert "not measured" not in said and "On other data" not in said


def test_classes_that_the_teacher_cannot_tell_apart_are_warned_of(
    empty_config: AppConfig, teacher: Any, recipe: Recipe
) -> None:
    measure(teacher, size=64, warnings=("Other classes are alike.",))
    assert 'role="alert"' not in recipe_html(empty_config, recipe)
    measure(teacher, size=48, warnings=("‘a’ & ‘b’ are alike.",))
    assert 'role="alert">‘a’ &amp; ‘b’ are alike.' in recipe_html(empty_config, recipe)


def test_what_was_not_measured_says_how_to(
    empty_config: AppConfig, teacher: Any, recipe: Recipe
) -> None:
    measure(teacher, size=64)  # another size is other data
    said = plain(recipe_html(empty_config, recipe))
    assert "not measured yet on this data" in said
    assert f"teacher eval {teacher.name} --data fieldguide --size 48" in said
    assert "On other data: 43.2 % (top-5 87.6 %) of the val images of the Field Guide" in said


def test_data_that_the_command_cannot_name_is_measured_by_the_training(
    empty_config: AppConfig, recipe: Recipe
) -> None:
    said = recipe_html(empty_config, recipe.changed({"data.species": 6}))
    assert "not measured yet on this data. The training measures it first" in said


def test_prompts_of_ones_own_are_not_the_teachers_figure(
    empty_config: AppConfig, teacher: Any, recipe: Recipe
) -> None:
    measure(teacher, Prompts(templates=("a {}",)), size=48)
    assert "not measured yet" in recipe_html(empty_config, recipe)


def test_a_finished_study_knows_its_own_teacher(config: AppConfig, tiny_study: Path) -> None:
    described = json.loads((tiny_study / "study.json").read_text())
    top1 = f"{100 * described['teacher']['zero_shot_top1']:.1f} % of this data's test images"
    own = parse_recipe(described["recipe"], "tiny")
    assert top1 in plain(recipe_html(config, own))
    assert others_html(config, described["recipe"]) == ""
    for setting in ("crop_pct", "fit"):  # as a study of an older version says it
        described["recipe"]["data"].pop(setting, None)
    assert others_html(config, described["recipe"]) == ""
    other = own.changed({"data.seed": 7})
    said = recipe_html(config, other)
    assert "not measured yet on this data" in said and "test images of the Field Guide" in said


def test_a_teacher_that_sees_images_only_is_measured_at_its_size(empty_config: AppConfig) -> None:
    requested = form_html(empty_config, "demo", "", "imagenet-lite0")
    assert "teacher eval imagenet-lite0 --data fieldguide --size 96 --teacher-size 96" in requested
    seen = SimpleNamespace(
        name="imagenet-lite0", weights_hash="0", image_size=224, reads_text=False
    )
    measure(seen, size=96)
    assert "not measured yet" in form_html(empty_config, "demo", "", "imagenet-lite0")
    seen.image_size = 96
    measure(seen, size=96)
    said = plain(form_html(empty_config, "demo", "", "imagenet-lite0"))
    assert "classifies 43.2 %" in said


def test_an_upload_is_called_by_its_name_and_strangers_learn_no_path(
    empty_config: AppConfig,
) -> None:
    empty_config.uploads.mkdir(parents=True)
    (empty_config.uploads / "my birds.zip").write_bytes(b"PK")
    for paths, called in (
        (False, "'my birds.zip'"),
        (True, f"'{empty_config.uploads}/my birds.zip'"),
    ):
        said = form_html(replace(empty_config, paths=paths), "photos", "upload:my birds.zip", "")
        assert f"--data {called} --size 128".replace("'", "&#39;") in said


@pytest.mark.parametrize(
    "values",
    [("none", "", ""), (["demo"], "", ""), ("demo", "upload:gone.zip", ""), ("demo", "", 7)],
)
def test_values_that_will_not_do_say_nothing(
    empty_config: AppConfig, values: tuple[Any, Any, Any]
) -> None:
    assert form_html(empty_config, *values) == ""


def test_no_data_chosen_yet(empty_config: AppConfig) -> None:
    assert "not measured yet on any data" in form_html(empty_config, "photos", "", "")


@pytest.mark.slow
def test_it_costs_no_import_of_torch(config: AppConfig) -> None:
    assert finished_studies(config)
    code = (
        "import sys\n"
        "from app.config import AppConfig\n"
        "from app.catalogue.teacher_figures import form_html\n"
        "from dait.runs.folder import RunsRoot\n"
        f"config = AppConfig(RunsRoot({str(config.runs.path)!r}))\n"
        "assert form_html(config, 'demo', '', 'fieldguide-clip')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
