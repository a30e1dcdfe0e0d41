"""Prompts as people write them, and the figures in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.catalogue.teachers import read_teacher, teacher_choices
from app.config import AppConfig
from app.data.prompts import (
    interval,
    preview_html,
    read_prompts,
    written_descriptions,
)
from app.train.form import summary
from dait.data.base import ClassInfo
from dait.errors import UserError
from dait.teachers.prompts import Prompts
from dait.teachers.zero_shot import Score

CLASSES = (
    ClassInfo("kiwi", "Kiwi fruit", descriptions=("brown", "hairy")),
    ClassInfo("pear", "Pear"),
    ClassInfo("pear: red", "<b>Red</b> pear"),
)


def test_what_is_written_back_unchanged_changes_nothing() -> None:
    text = written_descriptions(CLASSES)
    assert text == "kiwi: brown\nkiwi: hairy"
    assert not read_prompts("", text, CLASSES)
    assert summary(read_prompts("", text, CLASSES)) == ""


def test_lines_become_templates_and_descriptions() -> None:
    text = "\nKiwi Fruit:  round \npear: green\nPEAR: RED: a red one\n"
    found = read_prompts(" a {} \n\nsimple\n", text, CLASSES)
    assert found.templates == ("a {}", "simple")
    assert found.descriptions == {
        "kiwi": ("round",),
        "pear": ("green",),
        "pear: red": ("a red one",),
    }
    assert summary(found) == "2 templates and descriptions of 3 classes"


def test_no_lines_take_a_class_own_words_away() -> None:
    assert read_prompts("", "", CLASSES).descriptions == {"kiwi": ()}
    assert summary(Prompts(("{}",), {"kiwi": ()})) == "1 template and descriptions of 1 class"


@pytest.mark.parametrize(
    ("templates", "descriptions", "says"),
    [
        ("a bird", "", "should hold {} once"),
        ("", "kiwi: x\nplum: blue", "Line 2 of the descriptions is ‘plum: blue’"),
        ("", "kiwi:", "Line 1"),
        ("", "x" * 2_000_001, "Prompts are text"),
        (None, "", "Prompts are text"),
    ],
)
def test_a_line_that_will_not_do_is_quoted(templates: str, descriptions: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_prompts(templates, descriptions, CLASSES)


def test_teachers_of_strangers_come_from_the_list(empty_config: AppConfig) -> None:
    at_home = replace(empty_config, paths=True)
    for _, name in teacher_choices(empty_config):
        assert read_teacher(empty_config, name) == name
    assert len(teacher_choices(at_home)) > len(teacher_choices(empty_config))
    assert read_teacher(at_home, "openclip-local:/models/mine") == "openclip-local:/models/mine"
    for other in ("openclip-local:/etc", "openclip:ViT-B-32/laion2b_s34b_b79k", None, ""):
        with pytest.raises(UserError, match="from the list"):
            read_teacher(empty_config, other)


def test_the_preview_says_how_sure_it_is_and_what_goes_wrong() -> None:
    score = Score(0.5, 40, (0.25, float("nan"), 1.0), (2, -1, -1), 7)
    usual = Score(0.475, 40, (0.2, float("nan"), 1.0), (2, -1, -1), 3)
    html = preview_html(score, usual, CLASSES)
    assert "50.0\u00a0%" in html and "of 40 validation images" in html
    assert "+2.5 points" in html
    assert "Kiwi fruit: 25\u00a0%, taken for &lt;b&gt;Red&lt;/b&gt; pear" in html
    assert "Pear:" not in html  # it has no validation image
    assert "points against" not in preview_html(usual, usual, CLASSES)
    assert 'role="alert"' not in html
    warned = preview_html(replace(score, warnings=("‘a’ & ‘b’ are alike.",)), usual, CLASSES)
    assert 'role="alert">‘a’ &amp; ‘b’ are alike.' in warned


def test_the_interval_is_wilsons() -> None:
    low, high = interval(0.5, 40)
    assert (low, high) == pytest.approx((0.352, 0.648), abs=0.001)
    assert interval(0.0, 10)[0] == 0 and interval(1.0, 10)[1] == pytest.approx(1)
    assert interval(0.0, 0) == (0.0, 1.0)
