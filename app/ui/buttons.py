"""Buttons inside the page's own HTML, and what a press tells the server."""

from __future__ import annotations

from collections.abc import Sequence

from app.ui.templates import render

SEND_INDEX = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('click', { index: Number(button.dataset.index) });
});
"""
"""JavaScript of a ``gr.HTML``: a press of one of its buttons is a ``click`` with its ``index``."""


def chips_html(texts: Sequence[str]) -> str:
    """A row of small buttons, numbered from 0."""
    return render("chips", texts=texts)
