"""The page in the language of the browser: English, or German.

Only what stands on the page from the beginning is translated: labels, headings, buttons, hints.
What a handler answers (tables, figures, notices) is in English.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from app.about_tab import ABOUT_ID
from app.german import ABOUT, GERMAN

_BETWEEN_TAGS = re.compile(r"(?<=>)[^<>]*\S[^<>]*(?=<)")
_NUMBER = re.compile(r"\d+")
_WORDS = ("label", "info", "placeholder")
_PRESSED = (gr.Button, gr.UploadButton, gr.DownloadButton)


def in_german(text: str) -> str | None:
    """A text, or None where there is no German for it. Numbers keep their places."""
    german = GERMAN.get(pattern(text))
    if german is None:
        return None
    numbers = iter(_NUMBER.findall(text))
    return re.sub("#", lambda _: next(numbers), german)


def pattern(text: str) -> str:
    """How ``GERMAN`` calls a text: on one line, with ``#`` for every number."""
    return _NUMBER.sub("#", " ".join(text.split()))


def html_in_german(page: str) -> str | None:
    """HTML with all that is known between its tags in German; None where nothing is."""
    known = False

    def turned(found: re.Match[str]) -> str:
        nonlocal known
        english = html.unescape(found[0])
        german = in_german(english)
        if german is None:
            return found[0]
        known = True
        # What stood around the words keeps them apart from the tags.
        before = english[: len(english) - len(english.lstrip())]
        after = english[len(english.rstrip()) :]
        return before + html.escape(german) + after

    turned_page = _BETWEEN_TAGS.sub(turned, page)
    return turned_page if known else None


def translate(page: gr.Blocks) -> gr.I18n:
    """Mark every fixed text of ``page`` that has a German one; give both languages to launch with.

    Gradio's page then shows the one of its reader.
    """
    texts: dict[str, tuple[str, str]] = {}

    def marked(english: Any, turn: Callable[[str], str | None] = in_german) -> Any:
        german = turn(english) if isinstance(english, str) else None
        if german is None:
            return english
        key = f"ds-{hashlib.sha256(english.encode()).hexdigest()[:16]}"
        texts[key] = (english, german)
        return I18nData(key)

    for block in page.blocks.values():
        # The parts of a public endpoint are named for programs, and shown to nobody.
        if type(block).__name__ == "Api":
            continue
        for name in _WORDS:
            if isinstance(getattr(block, name, None), str):
                setattr(block, name, marked(getattr(block, name)))
        if isinstance(block, _PRESSED):
            block.value = marked(block.value)
        elif isinstance(block, gr.HTML):
            whole = block.elem_id == ABOUT_ID
            block.value = marked(block.value, (lambda _: ABOUT) if whole else html_in_german)
        elif isinstance(block, (gr.Dropdown, gr.Radio, gr.CheckboxGroup)):
            block.choices = [(marked(shown), value) for shown, value in block.choices]
    page.config = page.get_config_file()
    return gr.I18n(
        en={key: english for key, (english, _) in texts.items()},
        de={key: german for key, (_, german) in texts.items()},
    )
