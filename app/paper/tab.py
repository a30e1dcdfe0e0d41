"""The Paper tab: scroll through the paper's argument, each figure made from these studies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.comparisons.study_choice import OPEN_TAB, StudyChoice
from app.paper.exhibits import EXHIBITS
from app.paper.views import PaperViews
from app.server.loader import light
from app.ui.downloads import file_to_download, hidden_download, press
from app.ui.events import QUIET
from app.ui.notice import (
    HIDDEN_NOTICE,
    Update,
    empty,
    notice,
    notice_box,
    section,
    shows_errors,
)
from app.ui.plot import DRAW_REPORT, WIDE, panel_columns
from dait.errors import UserError

TAB = "paper"
EMPTY = empty("No finished study yet. Train one in the Train tab: its figures appear here.")
WAITING = empty("One moment.")
DOWNLOAD = "paper-file"
WITH_WIDTH = "(chosen, others, _) => [chosen, others, window.innerWidth]"
IF_OPEN = f"(study, seed, _) => [study, seed, {OPEN_TAB}]"

# Private handlers can still be called directly, so PaperViews checks their values.
SHOW: dict[str, Any] = {**QUIET, "concurrency_limit": 2}


def build_paper_tab(panel: gr.Tab, choice: StudyChoice, views: PaperViews) -> None:
    """Lay the tab out inside ``panel``, which is the current ``gr.Tab``, and wire it."""
    section(
        "The paper, with these studies",
        "Does a small trainable teacher between a large model and a small student help? Every "
        "figure and table below is made from the study chosen above, as the report makes it.",
    )
    others = gr.Dropdown(
        [],
        multiselect=True,
        label="Studies and runs in the tables and in Figures 4 and 5",
        info="Empty: the study chosen above",
        elem_id="paper-studies",
    )
    message = notice_box("paper-notice")
    shown = {
        exhibit.key: gr.HTML(WAITING, js_on_load=DRAW_REPORT, apply_default_css=False)
        for exhibit in EXHIBITS
    }
    ready = hidden_download(DOWNLOAD)
    width = gr.Number(WIDE, visible=False)
    chosen = gr.State(("", None))

    @light
    def follow(study: str | None, seed: int | None, open_tab: object) -> Any:
        """Nothing is computed until somebody looks."""
        return (study, seed) if open_tab == TAB else gr.skip()

    @light
    def look(study: str | None, seed: int | None) -> Update:
        return {chosen: (study, seed), others: gr.update(choices=views.sections.choices())}

    def show(of: tuple[str | None, int | None], more: Any, window: object) -> Iterator[Update]:
        study, seed = of
        if not study:
            yield dict.fromkeys(shown.values(), "") | {shown[EXHIBITS[0].key]: EMPTY}
            return
        yield {message: HIDDEN_NOTICE}
        try:
            for key, html in views.exhibits(study, seed, more, panel_columns(window)):
                yield {shown[key]: html}
        except UserError as error:
            yield dict.fromkeys(shown.values(), "") | {message: notice(str(error))}

    @shows_errors(message)
    def data(key: str, of: tuple[str, int | None], more: Any, event: gr.EventData) -> Update:
        name, content = views.block_csv(key, getattr(event, "index", None), *of, more)
        # The mark tells spreadsheets that this is UTF-8.
        return {ready: str(file_to_download(name, content.encode("utf-8-sig")))}

    panel.select(look, [choice.study, choice.seed], [chosen, others], **SHOW)
    for event in (choice.study.change, choice.seed.change):
        event(follow, [choice.study, choice.seed, choice.open_tab], chosen, js=IF_OPEN, **SHOW)
    for event in (chosen.change, others.input):
        event(
            show,
            [chosen, others, width],
            [message, *shown.values()],
            js=WITH_WIDTH,
            trigger_mode="always_last",
            **SHOW,
        )
    for key, html in shown.items():
        asked = html.click(
            _of_exhibit(data, key),
            [chosen, others],
            [message, ready],
            trigger_mode="multiple",
            **SHOW,
        )
        press(asked, DOWNLOAD)


def _of_exhibit(data: Any, key: str) -> Any:
    """Gradio passes the event by its annotation, which a partial function hides."""

    def of_exhibit(of: Any, more: Any, event: gr.EventData) -> Update:
        found: Update = data(key, of, more, event)
        return found

    return of_exhibit
