"""Sentences on the page: headings, what went wrong, what to know."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from app.config import hide_paths
from app.ui.wording import escape
from dait.errors import UserError

HIDDEN_NOTICE = ""


def notice(sentence: str, calm: bool = False) -> str:
    """A sentence that stays in the page until it is settled, as HTML: escaped, without paths."""
    kind, role = ("ds-notice calm", "status") if calm else ("ds-notice", "alert")
    return f'<div class="{kind}" role="{role}">{escape(hide_paths(sentence))}</div>'


def section(title: str, text: str) -> gr.HTML:
    """A heading with a line under it."""
    return gr.HTML(
        f'<div class="ds-section"><h2>{escape(title)}</h2><p>{escape(text)}</p></div>',
        apply_default_css=False,
    )


def notice_box(name: str) -> gr.HTML:
    """A place for a notice; it takes no room while it is empty."""
    return gr.HTML(HIDDEN_NOTICE, elem_id=name, elem_classes="ds-told", apply_default_css=False)


def framed(value: str, name: str, **settings: Any) -> gr.HTML:
    """HTML in a card."""
    return gr.HTML(
        value,
        html_template='<div class="ds-card">${value}</div>',
        elem_id=name,
        apply_default_css=False,
        **settings,
    )


KEPT = object()
"""Stands for an output that still holds what it held."""


def shows_errors(*otherwise: Any) -> Callable[[Callable[..., list[Any]]], Callable[..., list[Any]]]:
    """A handler whose first output is a notice: a ``UserError`` is said there.

    The other outputs then get ``otherwise``: ``KEPT`` where what was there still holds.
    """

    def decorate(handler: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        @wraps(handler)
        def telling(*values: Any) -> list[Any]:
            try:
                return handler(*values)
            except UserError as error:
                rest = [gr.skip() if value is KEPT else value for value in otherwise]
                return [notice(str(error)), *rest]

        return telling

    return decorate
