"""The About tab: what this is, and how to read it (``templates/about.html``)."""

from __future__ import annotations

from app.ui.notice import framed
from app.ui.templates import render
from dait.config.arms import SUMMARIES

ABOUT_ID = "about"


def build_about_tab() -> None:
    """Lay the tab out inside the current ``gr.Tab``."""
    framed(render("about", arms=SUMMARIES), ABOUT_ID)
