"""The Explore tab: query a study's frozen teacher, and see what it and its students represent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.comparisons.cache import Comparisons
from app.comparisons.study_choice import WITH_OPEN_TAB, StudyChoice
from app.config import AppConfig
from app.explore.views import ExploreViews
from app.server.loader import light
from app.ui.buttons import SEND_INDEX, chips_html
from app.ui.events import EVERY, LAST, PRIVATE, QUIET
from app.ui.notice import HIDDEN_NOTICE, Update, empty, framed, notice, notice_box, section
from app.ui.plot import WIDE, panel_columns, plot_box
from dait.errors import UserError

EMPTY = empty(
    "No finished study yet. Train one in the Train tab: you can query its teacher here as soon as "
    "it has finished."
)
LOADING = empty("One moment: loading the teacher.")
NO_TEXT = empty("Choose a study whose teacher reads text.")

# Private handlers can still be called directly, so ExploreViews checks their values.
# Put off, not dropped, while an earlier one is answered: see app/compare/row_box.py.
CHOOSE: dict[str, Any] = {**PRIVATE, **LAST, "concurrency_limit": 4}
TAB = "explore"
WITH_WIDTH = "(study, _) => [study, window.innerWidth]"


@dataclass(frozen=True)
class ExploreTab:
    """The tab's components."""

    study: gr.State
    """The page's study, as soon as the tab is open."""
    width: gr.Number
    notice: gr.HTML
    query: gr.Textbox
    search: gr.Button
    chips: gr.HTML
    examples: gr.State
    message: gr.HTML
    matches: gr.HTML
    about: gr.HTML
    pipeline_column: gr.Column
    pipeline: gr.HTML
    attributes_column: gr.Column
    bars: gr.HTML
    table: gr.HTML
    readings_column: gr.Column
    readings: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """All components that depend on the study."""
        kept = (self.study, self.width)
        return [component for component in vars(self).values() if component not in kept]


def build_explore_tab(
    panel: gr.Tab, choice: StudyChoice, config: AppConfig, comparisons: Comparisons
) -> ExploreTab:
    """Lay the tab out inside ``panel``, which is the current ``gr.Tab``, and wire it."""
    tab = _layout()
    _wire(panel, tab, choice, ExploreViews(config, comparisons))
    return tab


def _layout() -> ExploreTab:
    study = gr.State("")
    width = gr.Number(WIDE, visible=False)
    top = notice_box("explore-notice")
    section(
        "Query the frozen teacher",
        "It compares your sentence with every test image, without labels and without training.",
    )
    with gr.Row():
        query = gr.Textbox(
            label="What are you looking for?",
            max_lines=1,
            scale=5,
            min_width=220,
            elem_id="query",
        )
        search = gr.Button("Search", variant="primary", scale=1, min_width=110, elem_id="search")
    chips = gr.HTML("", elem_id="chips", js_on_load=SEND_INDEX, apply_default_css=False)
    message = notice_box("query-notice")
    matches = gr.HTML(
        LOADING, elem_id="matches", min_height=380, js_on_load=SEND_INDEX, apply_default_css=False
    )
    section("What it knows without training", "")
    about = framed("", "teacher-figures")
    with gr.Column(visible=False) as pipeline_column:
        section(
            "The pipeline",
            "Who teaches whom, by which losses and with which weights, and the shapes and "
            "parameters of every network.",
        )
        pipeline = framed("", "pipeline")
    with gr.Column(visible=False) as attributes_column:
        section(
            "Zero-shot attributes",
            "The orange tick is chance. In the species, attributes go together; in new birds each "
            "is drawn independently.",
        )
        bars = plot_box(
            "Accuracy on every attribute, with chance marked", 540, elem_id="attributes"
        )
        with gr.Accordion("The same as a table", open=False):
            table = framed("", "attributes-table")
    with gr.Column(visible=False) as readings_column:
        section(
            "Linear probes of each network",
            "Habitat, pose and light do not distinguish classes: this is how much of them each "
            "network's features contain.",
        )
        readings = framed("", "readings")
    return ExploreTab(
        study=study,
        width=width,
        notice=top,
        query=query,
        search=search,
        chips=chips,
        examples=gr.State(()),
        message=message,
        matches=matches,
        about=about,
        pipeline_column=pipeline_column,
        pipeline=pipeline,
        attributes_column=attributes_column,
        bars=bars,
        table=table,
        readings_column=readings_column,
        readings=readings,
    )


def _wire(panel: gr.Tab, tab: ExploreTab, choice: StudyChoice, views: ExploreViews) -> None:
    @light
    def follow(study: str | None, open_tab: object) -> Any:
        """Loading a teacher takes long, so it waits until somebody looks."""
        return study if open_tab == TAB else gr.skip()

    def show(study: str | None, width: object) -> Update:
        return _study_update(tab, views, study, panel_columns(width))

    def ask(study: str | None, text: str) -> Update:
        return _search_update(tab, views, study, text)

    def first_query(study: str | None, text: str) -> Update:
        """The answer to the study's first example."""
        if not text:
            return {tab.message: gr.skip()}  # Gradio takes no empty dict
        return _search_update(tab, views, study, text)

    def use_example(study: str | None, examples: list[str], event: gr.EventData) -> Update:
        index = getattr(event, "index", None)
        if not isinstance(index, int) or not 0 <= index < len(examples):
            return {tab.message: notice("Choose one of the examples.")}
        return {tab.query: examples[index]} | ask(study, examples[index])

    answer = [tab.message, tab.matches]
    hidden: dict[str, Any] = {**CHOOSE, **QUIET}
    panel.select(light(lambda study: study), choice.study, tab.study, **hidden)
    choice.study.change(
        follow, [choice.study, choice.open_tab], tab.study, js=WITH_OPEN_TAB, **hidden
    )
    tab.study.change(show, [tab.study, tab.width], tab.outputs, js=WITH_WIDTH, **hidden).then(
        first_query, [tab.study, tab.query], answer, **CHOOSE
    )
    for event in (tab.query.submit, tab.search.click):
        event(ask, [tab.study, tab.query], answer, **CHOOSE)
    tab.chips.click(
        use_example,
        [tab.study, tab.examples],
        [tab.query, *answer],
        **{**CHOOSE, **EVERY},
    )


def _study_update(tab: ExploreTab, views: ExploreViews, study: str | None, columns: int) -> Update:
    if study is None:
        return {tab.matches: EMPTY, **_closed(tab)}
    try:
        found = views.figures(study, columns)
        if not found.why_no_text:
            views.preload(study)
    except UserError as error:
        return {tab.notice: notice(str(error)), tab.matches: "", **_closed(tab)}
    reads = not found.why_no_text
    return {
        tab.notice: HIDDEN_NOTICE if reads else notice(found.why_no_text, calm=True),
        tab.query: gr.update(value=found.examples[0] if reads else "", interactive=reads),
        tab.search: gr.update(interactive=reads),
        tab.chips: chips_html(found.examples) if reads else "",
        tab.examples: list(found.examples),
        tab.message: HIDDEN_NOTICE,
        tab.matches: LOADING if reads else NO_TEXT,
        tab.about: found.about,
        tab.pipeline_column: gr.update(visible=True),
        tab.pipeline: found.pipeline,
        tab.attributes_column: gr.update(visible=found.bars is not None),
        tab.bars: found.bars,
        tab.table: found.attributes,
        tab.readings_column: gr.update(visible=bool(found.readings)),
        tab.readings: found.readings,
    }


def _closed(tab: ExploreTab) -> Update:
    """Nothing of the previous study stays."""
    return {
        tab.query: gr.update(value="", interactive=False),
        tab.search: gr.update(interactive=False),
        tab.chips: "",
        tab.message: HIDDEN_NOTICE,
        tab.about: "",
        tab.pipeline_column: gr.update(visible=False),
        tab.attributes_column: gr.update(visible=False),
        tab.readings_column: gr.update(visible=False),
    }


def _search_update(tab: ExploreTab, views: ExploreViews, study: str | None, text: str) -> Update:
    if study is None:
        return {tab.message: HIDDEN_NOTICE}
    try:
        found = views.ask(study, text)
    except UserError as error:
        # Matches of the query before would look like its answer.
        return {tab.message: notice(str(error)), tab.matches: ""}
    message = notice(found.message, calm=True) if found.message else HIDDEN_NOTICE
    return {tab.message: message, tab.matches: found.matches}
