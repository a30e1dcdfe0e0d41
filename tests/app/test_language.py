"""The fixed texts of the page in German: all of them, and nothing besides."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from app.config import Place
from app.german import GERMAN, SAME
from app.language import html_in_german, in_german, pattern, translate
from app.page import build_page
from app.queue.jobs import Jobs

FOR_PROGRAMS = {"study", "photos", "photo", "method", "target", "answer", "predict", "explain"}


@pytest.fixture
def page(empty_place: Place) -> gr.Blocks:
    return build_page(empty_place, Jobs(empty_place.runs))


def fixed_texts(page: gr.Blocks) -> Iterator[str]:
    """What a reader sees whatever is done: labels, hints, buttons, headings."""
    for block in page.blocks.values():
        if type(block).__name__ == "Api":
            continue
        named = [getattr(block, name, None) for name in ("label", "info", "placeholder")]
        if isinstance(block, gr.Button):
            named.append(block.value)
        yield from (text for text in named if isinstance(text, str) and text.strip())
        if isinstance(block, gr.HTML) and "ds-section" in str(block.value):
            yield from map(html.unescape, re.findall(r"<(?:h2|p)>([^<]+)<", block.value))


def test_every_fixed_text_has_its_german_one(page: gr.Blocks) -> None:
    missing = {
        pattern(text)
        for text in fixed_texts(page)
        if in_german(text) is None and pattern(text) not in SAME
    }
    assert missing <= FOR_PROGRAMS


def test_no_german_text_is_left_over(page: gr.Blocks) -> None:
    shown = set(map(pattern, fixed_texts(page)))
    for block in page.blocks.values():
        if isinstance(block, gr.HTML):
            shown |= {pattern(html.unescape(t)) for t in re.findall(r">([^<]+)<", str(block.value))}
        shown |= {pattern(str(choice[0])) for choice in getattr(block, "choices", None) or []}
    assert set(GERMAN) <= shown


def test_numbers_keep_their_places() -> None:
    assert in_german("Repetitions, 1 to 5") == "Wiederholungen, 1 bis 5"
    assert in_german("Your photograph (at most 20 MB)") == "Ihr Foto (höchstens 20 MB)"
    assert in_german("no text of ours") is None
    for english, german in GERMAN.items():
        assert english.count("#") == german.count("#"), english
        assert english.count("{}") == german.count("{}"), english


def test_tags_stay_and_what_is_unknown_stays() -> None:
    page = "<h2>Runs</h2>\n<p>Mine &amp; yours</p><code>a</code> and <code>b</code>"
    assert html_in_german(page) == (
        "<h2>Trainings</h2>\n<p>Mine &amp; yours</p><code>a</code> und <code>b</code>"
    )
    assert html_in_german("<p>nothing known</p>") is None


def test_the_page_is_marked_and_keeps_its_values(page: gr.Blocks) -> None:
    def arms(config: dict[str, Any]) -> dict[str, Any]:
        return next(c["props"] for c in config["components"] if c["props"].get("elem_id") == "arms")

    before = arms(page.get_config_file())
    languages = translate(page).translations_dict
    assert languages["en"].keys() == languages["de"].keys()
    after = arms(page.config)
    assert languages["de"][after["label"].key] == "Wege"
    assert [value for _, value in after["choices"]] == [value for _, value in before["choices"]]
    assert after["value"] == before["value"]
    assert sum("Wie die Zahlen zu lesen sind" in text for text in languages["de"].values()) == 1
