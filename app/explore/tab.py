"""The Explore tab: ask a study's frozen teacher in words, and see what it and its students know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from app.compare.picked import Picked
from app.compare.tab import CompareTab
from app.compare.views import CompareViews
from app.explore.html import chips_html
from app.explore.views import ExploreViews
from app.ui.notice import HIDDEN_NOTICE, framed, notice, notice_box, section
from app.ui.plot import WIDE, panel_columns, plot_box
from dait.errors import UserError

EMPTY = (
    '<div class="ds-empty">No finished study yet. Train one in the Train tab: its teacher can be '
    "asked here as soon as it has finished.</div>"
)
LOADING = '<div class="ds-empty">One moment: loading the teacher.</div>'
SILENT = '<div class="ds-empty">Choose a study whose teacher reads text.</div>'

# Private handlers can still be called directly, so what they take is checked in ExploreViews.
QUIET: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 4}
WITH_WIDTH = "(study, _) => [study, window.innerWidth]"
PRESSED = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('click', { index: Number(button.dataset.index) });
});
"""
TO_THE_ROW = """
() => setTimeout(() => document.querySelector('#row')?.scrollIntoView({ block: 'center' }), 100)
"""

Update = dict[Any, Any]


@dataclass(frozen=True)
class _Parts:
    study: gr.Dropdown
    width: gr.Number
    notice: gr.HTML
    query: gr.Textbox
    search: gr.Button
    chips: gr.HTML
    examples: gr.State
    message: gr.HTML
    matches: gr.HTML
    about: gr.HTML
    piped: gr.Column
    pipeline: gr.HTML
    attributes: gr.Column
    bars: gr.HTML
    table: gr.HTML
    readable: gr.Column
    readings: gr.HTML


def build_explore_tab(panel: gr.Tab, tabs: gr.Tabs, compare: CompareTab) -> None:
    """Lay the tab out inside ``panel``, which is the current ``gr.Tab``, and wire it.

    tabs, compare: where a match that is pressed is shown.
    """
    views = ExploreViews(compare.views.config, compare.views.comparisons)
    parts = _layout()
    _wire(panel, parts, compare.views, views)
    _wire_matches(parts, tabs, compare)


def _layout() -> _Parts:
    with gr.Row(equal_height=True):
        study = gr.Dropdown([], label="Study", elem_id="explore-study")
    width = gr.Number(WIDE, visible=False)
    top = notice_box("explore-notice")
    section(
        "Ask the frozen teacher",
        "It compares your sentence with every test image. No label and no training is in between.",
    )
    with gr.Row():
        query = gr.Textbox(
            label="What do you want to see?",
            max_lines=1,
            scale=5,
            min_width=220,
            elem_id="query",
        )
        search = gr.Button("Search", variant="primary", scale=1, min_width=110, elem_id="search")
    chips = gr.HTML("", elem_id="chips", js_on_load=PRESSED, apply_default_css=False)
    message = notice_box("query-notice")
    matches = gr.HTML(
        LOADING, elem_id="matches", min_height=380, js_on_load=PRESSED, apply_default_css=False
    )
    section("What it knows without training", "")
    about = framed("", "teacher-figures")
    with gr.Column(visible=False) as piped:
        section(
            "The pipeline",
            "Who taught whom, by which losses and how strongly they weighed, with the shapes and "
            "parameters of every network.",
        )
        pipeline = framed("", "pipeline")
    with gr.Column(visible=False) as attributes:
        section(
            "Attributes, named by words alone",
            "The orange tick is chance. Among the species, attributes go together; among new birds "
            "each is drawn by itself.",
        )
        bars = plot_box(
            "Accuracy on every attribute, with chance marked", 540, elem_id="attributes"
        )
        with gr.Accordion("The same as a table", open=False):
            table = framed("", "attributes-table")
    with gr.Column(visible=False) as readable:
        section(
            "What can be read from each network",
            "Habitat, pose and light tell no classes apart: so much of them each network carries.",
        )
        readings = framed("", "readings")
    return _Parts(
        *(study, width, top, query, search, chips, gr.State(()), message, matches, about),
        *(piped, pipeline, attributes, bars, table, readable, readings),
    )


def _wire(panel: gr.Tab, parts: _Parts, compare: CompareViews, views: ExploreViews) -> None:
    def show(study: str | None, width: object) -> Update:
        return _shown(parts, views, study, panel_columns(width))

    def ask(study: str | None, text: str) -> Update:
        # What was found before stays in view when a query will not do.
        return _answered(parts, views, study, text, {})

    def first(study: str | None, text: str) -> Update:
        """The answer to the example that a study begins with."""
        if not text:
            return {parts.message: gr.skip()}  # Gradio takes no empty dict
        return _answered(parts, views, study, text, {parts.matches: ""})

    def pick(study: str | None, examples: list[str], event: gr.EventData) -> Update:
        index = getattr(event, "index", None)
        if not isinstance(index, int) or not 0 <= index < len(examples):
            return {parts.message: notice("Choose one of the examples.")}
        return {parts.query: examples[index]} | ask(study, examples[index])

    answered = [parts.message, parts.matches]
    shown = [
        *(parts.notice, parts.query, parts.search, parts.chips, parts.examples, *answered),
        *(parts.about, parts.piped, parts.pipeline, parts.attributes, parts.bars, parts.table),
        *(parts.readable, parts.readings),
    ]
    hidden: dict[str, Any] = {**QUIET, "show_progress": "hidden"}
    panel.select(partial(arrived, compare), parts.study, [parts.study, parts.matches], **hidden)
    parts.study.change(show, [parts.study, parts.width], shown, js=WITH_WIDTH, **hidden).then(
        first, [parts.study, parts.query], answered, **QUIET
    )
    events: tuple[Callable[..., Any], ...] = (parts.query.submit, parts.search.click)
    for event in events:
        event(ask, [parts.study, parts.query], answered, **QUIET)
    parts.chips.click(pick, [parts.study, parts.examples], [parts.query, *answered], **QUIET)


def _wire_matches(parts: _Parts, tabs: gr.Tabs, compare: CompareTab) -> None:
    def show(
        study: str | None, current: str | None, picked: Picked, turns: int, event: gr.EventData
    ) -> list[Any]:
        try:
            shown = compare.show(study, getattr(event, "index", None), current, picked, turns)
        except UserError as error:
            return [notice(str(error)), gr.skip(), *[gr.skip() for _ in compare.shown]]
        return [HIDDEN_NOTICE, gr.update(selected="compare"), *shown]

    parts.matches.click(
        show, [parts.study, *compare.showing], [parts.message, tabs, *compare.shown], **QUIET
    ).success(None, js=TO_THE_ROW, api_visibility="private")


def arrived(compare: CompareViews, current: str | None) -> list[Any]:
    """The list of studies anew, and what stands below it where there is none.

    Studies may have come or gone; what is chosen stays.
    """
    choices = compare.choices()
    ids = [study_id for _, study_id in choices]
    if not ids:
        return [gr.update(choices=[], value=None), EMPTY]
    kept: dict[str, Any] = {} if current in ids else {"value": ids[0]}
    return [gr.update(choices=choices, **kept), gr.skip()]


def _shown(parts: _Parts, views: ExploreViews, study: str | None, columns: int) -> Update:
    if study is None:
        return {parts.matches: EMPTY, **_closed(parts)}
    try:
        found = views.figures(study, columns)
        if not found.why_silent:
            views.warm(study)
    except UserError as error:
        return {parts.notice: notice(str(error)), parts.matches: "", **_closed(parts)}
    reads = not found.why_silent
    return {
        parts.notice: HIDDEN_NOTICE if reads else notice(found.why_silent, calm=True),
        parts.query: gr.update(value=found.examples[0] if reads else "", interactive=reads),
        parts.search: gr.update(interactive=reads),
        parts.chips: chips_html(found.examples) if reads else "",
        parts.examples: list(found.examples),
        parts.message: HIDDEN_NOTICE,
        parts.matches: LOADING if reads else SILENT,
        parts.about: found.about,
        parts.piped: gr.update(visible=True),
        parts.pipeline: found.pipeline,
        parts.attributes: gr.update(visible=found.bars is not None),
        parts.bars: found.bars,
        parts.table: found.attributes,
        parts.readable: gr.update(visible=bool(found.readings)),
        parts.readings: found.readings,
    }


def _closed(parts: _Parts) -> Update:
    """Nothing of a study that was shown before stays."""
    return {
        parts.query: gr.update(value="", interactive=False),
        parts.search: gr.update(interactive=False),
        parts.chips: "",
        parts.message: HIDDEN_NOTICE,
        parts.about: "",
        parts.piped: gr.update(visible=False),
        parts.attributes: gr.update(visible=False),
        parts.readable: gr.update(visible=False),
    }


def _answered(
    parts: _Parts, views: ExploreViews, study: str | None, text: str, otherwise: Update
) -> Update:
    if study is None:
        return {parts.message: HIDDEN_NOTICE}
    try:
        found = views.ask(study, text)
    except UserError as error:
        return {parts.message: notice(str(error)), **otherwise}
    message = notice(found.message, calm=True) if found.message else HIDDEN_NOTICE
    return {parts.message: message, parts.matches: found.matches}
