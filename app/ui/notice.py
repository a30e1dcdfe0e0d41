"""Sentences on the page: headings, notices, how far work is, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from app.background import Job
from app.ui.templates import render
from app.ui.wording import percent
from dait.errors import UserError
from dait.events import Progress

HIDDEN_NOTICE = ""
NOTICES = "ds-notices"

Update = dict[Any, Any]
"""New values by component. A component that is not in it keeps its value."""


def notice(sentence: str, calm: bool = False) -> str:
    """A notice as HTML, without paths of this machine. calm: it is no error."""
    return render("notice", sentence=sentence, calm=calm)


def empty(sentence: str) -> str:
    """What stands where there is nothing to show yet, as HTML."""
    return render("empty", sentence=sentence)


def hint(sentence: str, live: bool = False) -> str:
    """A line of small text as HTML. live: screen readers announce it when it changes."""
    return render("hint", sentence=sentence, live=live)


def progress_html(job: Job[Any]) -> str:
    """How far a background job is."""
    now = job.progress
    if isinstance(now, Progress) and now.total:
        share = min(1.0, now.done / now.total)
        return render("progress", text=now.what, share=share, amount=_amount(now))
    text = now.what if isinstance(now, Progress) else now.text
    return render("progress", text=text, share=None)


def section(title: str, text: str) -> gr.HTML:
    """A heading with a line under it."""
    return gr.HTML(render("section", title=title, text=text), apply_default_css=False)


def notice_box(name: str) -> gr.HTML:
    """A place for a notice; it takes no space while it is empty."""
    return gr.HTML(HIDDEN_NOTICE, elem_id=name, elem_classes=NOTICES, apply_default_css=False)


def is_notice(box: gr.HTML) -> bool:
    """Whether it is a ``notice_box``."""
    return NOTICES in box.elem_classes


def framed(value: str, name: str, **settings: Any) -> gr.HTML:
    """HTML in a card."""
    return gr.HTML(
        value,
        html_template='<div class="ds-card">${value}</div>',
        elem_id=name,
        apply_default_css=False,
        **settings,
    )


def shows_errors(
    box: gr.HTML, otherwise: Update | None = None
) -> Callable[[Callable[..., Update]], Callable[..., Update]]:
    """Let a handler's ``UserError`` appear in the notice ``box``, which is cleared otherwise.

    otherwise: what else changes then; by default the other outputs keep their values.
    """

    def decorate(handler: Callable[..., Update]) -> Callable[..., Update]:
        @wraps(handler)
        def wrapped(*values: Any) -> Update:
            try:
                return {box: HIDDEN_NOTICE} | handler(*values)
            except UserError as error:
                return {box: notice(str(error))} | (otherwise or {})

        return wrapped

    return decorate


def _amount(now: Progress) -> str:
    if now.unit == "bytes":
        return f"{now.done / 1e6:,.0f} of {now.total / 1e6:,.0f} MB"
    return f"{now.done:,} of {now.total:,} {now.unit} ({percent(now.done / now.total, 0)})"
