"""Prompts: what may be said of a class, what is said of it, and that a recipe trains with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from dait.config.recipe import Recipe, parse_recipe
from dait.data.base import ClassInfo
from dait.data.fieldguide import FieldGuide
from dait.errors import UserError
from dait.teachers.base import text_prototypes
from dait.teachers.prompts import (
    DEFAULT_TEMPLATE,
    LONGEST,
    MOST_DESCRIPTIONS,
    MOST_TEMPLATES,
    Prompts,
    class_prompts,
    ensemble,
)
from dait.teachers.registry import load_teacher, prototypes_of

KIWI = ClassInfo("kiwi", "Kiwi fruit", descriptions=("brown and hairy",))
PEAR = ClassInfo("pear", "Pear")


def said(prompts: Prompts) -> list[tuple[str, ...]]:
    return [info.descriptions for info in class_prompts([KIWI, PEAR], prompts)]


def test_without_prompts_a_class_keeps_its_own_words_or_gets_the_usual_ones() -> None:
    assert said(Prompts()) == [("brown and hairy",), ("a photo of a Pear.",)]
    assert not Prompts()
    assert DEFAULT_TEMPLATE.replace("{}", "Pear") == "a photo of a Pear."


def test_templates_are_filled_with_names_and_added_to_descriptions() -> None:
    assert said(Prompts(("one {}", "a {} in a shop"))) == [
        ("brown and hairy", "one Kiwi fruit", "a Kiwi fruit in a shop"),
        ("one Pear", "a Pear in a shop"),
    ]


def test_descriptions_replace_a_class_own_and_may_take_them_away() -> None:
    assert said(Prompts((), {"kiwi": (), "pear": ("green", "yellow")})) == [
        ("a photo of a Kiwi fruit.",),
        ("green", "yellow"),
    ]


def test_a_name_with_braces_in_it_stays_a_name() -> None:
    odd = ClassInfo("odd", "{0.__class__}")
    assert class_prompts([odd], Prompts(("a {}",)))[0].descriptions == ("a {0.__class__}",)


def test_an_ensemble_stands_for_its_templates() -> None:
    templates = ensemble("openai")
    assert len(templates) == 80 and all(template.count("{}") == 1 for template in templates)
    assert said(Prompts(("openai",)))[1] == tuple(t.replace("{}", "Pear") for t in templates)
    assert len(said(Prompts(("simple", "x {}")))[1]) == 8


@pytest.mark.parametrize(
    ("templates", "descriptions", "says"),
    [
        (("a photo",), {}, "should hold {} once"),
        (("{} and {}",), {}, "should hold {} once"),
        (("{" + "}" + "x" * LONGEST,), {}, f"{LONGEST + 2:,} characters.*At most {LONGEST:,}"),
        (("{}",) * (MOST_TEMPLATES + 1), {}, f"at most {MOST_TEMPLATES}"),
        ((), {"kiwi": (" ",)}, "‘kiwi’ is empty"),
        ((), {"kiwi": ("x" * (LONGEST + 1),)}, f"At most {LONGEST:,}"),
        ((), {"kiwi": ("x",) * (MOST_DESCRIPTIONS + 1)}, f"at most {MOST_DESCRIPTIONS}"),
    ],
)
def test_prompts_that_will_not_do_are_named(
    templates: tuple[str, ...], descriptions: dict[str, tuple[str, ...]], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        Prompts(templates, descriptions)


def test_a_description_of_no_class_is_named() -> None:
    with pytest.raises(UserError, match=r"describe ‘plum’.*begin with ‘kiwi’"):
        said(Prompts((), {"plum": ("blue",)}))


def test_a_recipe_carries_prompts_and_says_what_is_wrong_with_them(small_recipe: Recipe) -> None:
    changes = {"teacher.templates": ["a {}"], "teacher.descriptions": {"kiwi": ["brown"]}}
    recipe = small_recipe.changed(changes)
    again = parse_recipe(yaml.safe_load(recipe.to_yaml()), "again")
    assert again == recipe
    assert again.teacher.prompts == Prompts(("a {}",), {"kiwi": ("brown",)})
    with pytest.raises(UserError, match=r"teacher: The template ‘a bird’ should hold {} once"):
        small_recipe.changed({"teacher.templates": ["a bird"]})


def test_prototypes_are_those_of_the_prompts(birds: FieldGuide, clip_folder: Path) -> None:
    teacher = load_teacher(f"openclip-local:{clip_folder}")
    prompts = Prompts(("a bird called {}",), {birds.classes[0].key: ()})
    found = prototypes_of(teacher, birds, prompts).vectors
    expected = text_prototypes(teacher, class_prompts(birds.classes, prompts))
    assert torch.equal(found, expected)
    usual = prototypes_of(teacher, birds).vectors
    assert not torch.allclose(found, usual)
    assert torch.equal(usual, text_prototypes(teacher, birds.classes))


def test_a_teacher_that_reads_nothing_refuses_prompts(birds: FieldGuide) -> None:
    class Blind:
        name, reads_text = "blind", False

    with pytest.raises(UserError, match=r"blind sees images only.*Remove `templates`"):
        prototypes_of(Blind(), birds, Prompts(("a {}",)))  # type: ignore[arg-type]


def test_a_key_in_the_other_unicode_form_is_the_class() -> None:
    coffee = ClassInfo("caf\u00e9", "caf\u00e9")
    described = Prompts((), {"cafe\u0301": ("black and hot",)})
    assert class_prompts([coffee, PEAR], described)[0].descriptions == ("black and hot",)
