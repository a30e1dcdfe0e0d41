"""Figures of teachers: kept by what they depend on, and shown only while they are true."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dait.config.recipe import Recipe, parse_recipe
from dait.data.fieldguide import FieldGuide, open_fieldguide
from dait.errors import UserError
from dait.events import ignore
from dait.storage.cache import cache_dir
from dait.study.context import prepare
from dait.teachers.prompts import Prompts
from dait.teachers.registry import load_teacher
from dait.teachers.zero_shot_figures import known_zero_shot, remember_zero_shot

FIGURES = {"top1": 0.25, "top5": 0.75, "top1_interval": [0.1, 0.4], "n_test": 12}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def teacher(clip_folder: Path, tmp_path: Path) -> Any:
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    return load_teacher(f"openclip-local:{folder}")


def test_what_is_measured_is_known(teacher: Any, birds: FieldGuide) -> None:
    assert known_zero_shot() == []
    kept = remember_zero_shot(teacher, birds, "val", FIGURES, called="birds")
    assert known_zero_shot() == known_zero_shot(teacher.name, birds, "val") == [kept]
    assert (kept.top1, kept.top5, kept.interval, kept.n) == (0.25, 0.75, (0.1, 0.4), 12)
    assert (kept.data, kept.classes, kept.weights_hash) == ("birds", 6, teacher.weights_hash)
    assert known_zero_shot("fieldguide-clip") == known_zero_shot(teacher.name, birds, "test") == []
    other = open_fieldguide(size=16, species=6, train_per_class=1, val_per_class=1)
    assert known_zero_shot(teacher.name, other) == []


def test_each_split_and_each_set_of_prompts_has_its_own(teacher: Any, birds: FieldGuide) -> None:
    first = remember_zero_shot(teacher, birds, "val", FIGURES)
    test = remember_zero_shot(teacher, birds, "test", FIGURES)
    prompts = Prompts(templates=("a drawing of a {}",))
    with_template = remember_zero_shot(teacher, birds, "val", FIGURES, prompts=prompts)
    assert len({first.key, test.key, with_template.key}) == 3
    assert [figures.own_prompts for figures in (first, test, with_template)] == [True, True, False]
    again = remember_zero_shot(teacher, birds, "val", {**FIGURES, "top1": 0.5})
    assert again.key == first.key
    assert known_zero_shot() == [again, with_template, test]


def test_replaced_weights_take_their_figures_with_them(teacher: Any, birds: FieldGuide) -> None:
    remember_zero_shot(teacher, birds, "val", FIGURES)
    (weights,) = Path(teacher.name.partition(":")[2]).glob("*.safetensors")
    os.utime(weights, ns=(1, 1))
    assert known_zero_shot() == []


def test_a_damaged_or_foreign_entry_is_as_good_as_none(teacher: Any, birds: FieldGuide) -> None:
    kept = remember_zero_shot(teacher, birds, "val", FIGURES)
    for name, text in {"a": "", "b": "[]", "c": '{"teacher": "x"}', "d": '{"interval": 3}'}.items():
        (cache_dir() / "zero-shot" / f"{name}.json").write_text(text)
    assert known_zero_shot() == [kept]


def test_a_teacher_that_reads_no_text_has_no_prompts(teacher: Any, birds: FieldGuide) -> None:
    teacher.reads_text = False
    assert remember_zero_shot(teacher, birds, "val", FIGURES).prompts == ""
    assert replace(known_zero_shot()[0], prompts="x").key != known_zero_shot()[0].key


@pytest.mark.slow
def test_a_study_keeps_what_it_measured(small_recipe: Recipe) -> None:
    bench = prepare(small_recipe, ignore)
    (figures,) = known_zero_shot(small_recipe.teacher.name, bench.data, "test")
    assert figures.top1 == bench.zero_shot["top1"] and figures.data == "fieldguide"


def test_a_study_misses_its_teacher_before_it_reads_its_data(
    small_recipe: Recipe, hub_cache: Path
) -> None:
    raw = small_recipe.model_dump()
    raw["teacher"]["name"] = "openclip:ViT-B-32/openai"
    raw["data"]["source"] = "no such folder"
    with pytest.raises(UserError, match="ViT-B-32/openai are not on this machine"):
        prepare(parse_recipe(raw, "test"), ignore)
