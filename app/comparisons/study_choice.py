"""The choice of a study for the whole page, and which tab is open: both stand in the address."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

OPEN_TAB = "document.documentElement.dataset.tab"
"""JavaScript: the id of the open tab, which ``linked.js`` writes."""


@dataclass(frozen=True)
class StudyChoice:
    """The lists above the tabs. open_tab: its value comes from the browser (``WITH_OPEN_TAB``)."""

    study: gr.Dropdown
    seed: gr.Dropdown
    open_tab: gr.Textbox


WITH_OPEN_TAB = f"(study, _) => [study, {OPEN_TAB}]"
"""JavaScript of a handler whose inputs are the study and ``StudyChoice.open_tab``."""


def layout_study_choice() -> StudyChoice:
    """Lay the lists out in the current row."""
    with gr.Row(elem_id="study-bar", scale=1):
        study = gr.Dropdown(
            [], label="Study", container=False, scale=4, min_width=240, elem_id="study"
        )
        seed = gr.Dropdown(
            [],
            label="Seed",
            container=False,
            scale=1,
            min_width=96,
            visible=False,
            elem_id="seed",
        )
    open_tab = gr.Textbox(visible=False)
    study.change(
        None, study, None, js="study => window.daitLinks.setStudy(study)", api_visibility="private"
    )
    return StudyChoice(study, seed, open_tab)
