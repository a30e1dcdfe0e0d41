"""The place under a choice of teacher that says how well it names images without training."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app.catalogue.teacher_figures import form_html
from app.config import AppConfig

QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}


def teacher_box() -> gr.HTML:
    """Empty until ``wire_teacher_box``'s first event."""
    return gr.HTML("", elem_id="teacher-known", apply_default_css=False)


def wire_teacher_box(
    box: gr.HTML,
    config: AppConfig,
    panel: gr.Tab,
    recipe: gr.Dropdown,
    data: gr.Dropdown,
    teacher: Any,
) -> None:
    """Say it when the tab ``panel`` is opened and whenever one of the three choices changes."""
    events = [panel.select, *(choice.change for choice in (recipe, data, teacher))]
    gr.on(events, partial(form_html, config), [recipe, data, teacher], box, **QUIET)
