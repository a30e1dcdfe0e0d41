"""The list of the studies that can be compared, as several tabs show it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.config import AppConfig
from app.studies.entries import StudyEntry, finished_studies
from app.ui.wording import moment


def study_choices(config: AppConfig) -> list[tuple[str, str]]:
    """(label, id) of every finished study, the default first."""
    return [(_label(entry), entry.id) for entry in finished_studies(config)]


def study_list(config: AppConfig, selected: str | None = None) -> Any:
    """An update of the list, with ``selected`` (or the first study) selected."""
    choices = study_choices(config)
    ids = [study_id for _, study_id in choices]
    first = ids[0] if ids else None
    return gr.update(choices=choices, value=selected if selected in ids else first)


def _label(entry: StudyEntry) -> str:
    if entry.shipped:
        return f"{entry.title} (bundled)"
    return f"{entry.title} ({moment(entry.started)})"
