"""Several studies and runs at once: their tables and tests, and the whole report as a file."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.comparisons.report_sections import ReportSections, shown_blocks
from app.comparisons.study_choice import StudyChoice
from app.ui.downloads import file_to_download, hidden_download, press
from app.ui.events import EVERY, PRIVATE, QUIET
from app.ui.notice import Update, notice_box, shows_errors
from app.ui.plot import DRAW_REPORT, WIDE, panel_columns
from app.ui.templates import render
from dait.errors import UserError
from dait.events import Event, Progress

SECTION = "accuracy"
DOWNLOAD = "report-file"
WITH_WIDTH = "(...values) => [...values.slice(0, -1), window.innerWidth]"
_PROGRESS = gr.Progress()

# Private handlers can still be called directly, so ReportSections checks their values.
PRESS: dict[str, Any] = {**PRIVATE, "concurrency_limit": 2}


def build_several(choice: StudyChoice, sections: ReportSections) -> None:
    """Lay it out in the current column, folded, and wire it."""
    with gr.Accordion("Several studies, and the report", open=False, elem_id="several") as fold:
        chosen = gr.Dropdown(
            [],
            multiselect=True,
            label="Studies and runs",
            info="Of one data set they stand side by side, of several in one table. "
            "Empty: the study shown above",
            elem_id="several-chosen",
        )
        with gr.Row():
            compare = gr.Button("Compare", min_width=140, elem_id="several-compare")
            report = gr.Button("Download the report", min_width=140, elem_id="several-report")
        message = notice_box("several-notice")
        shown = gr.HTML(
            "", js_on_load=DRAW_REPORT, elem_id="several-tables", apply_default_css=False
        )
        ready = hidden_download(DOWNLOAD)
    width = gr.Number(WIDE, visible=False)

    def of(study: object, values: object) -> tuple[str, ...]:
        return sections.checked(values) or sections.checked([study] if study else [])

    def checked(study: object, values: object) -> tuple[str, ...]:
        found = of(study, values)
        if not found:
            raise UserError("There is no finished study yet; train one in the Train tab.")
        return found

    @shows_errors(message)
    def tables(study: object, values: object, window: object) -> Update:
        blocks = sections.blocks(SECTION, checked(study, values), None, panel_columns(window))
        return {shown: render("several", blocks=shown_blocks(blocks))}

    @shows_errors(message)
    def csv(study: object, values: object, index: object) -> Update:
        names = checked(study, values)
        content = sections.csv(SECTION, index, names, None)
        # The mark tells spreadsheets that this is UTF-8.
        file = file_to_download(f"{SECTION}-{index}.csv", content.encode("utf-8-sig"))
        return {ready: str(file)}

    def csv_of(study: object, values: object, event: gr.EventData) -> Update:
        return csv(study, values, getattr(event, "index", None))

    @shows_errors(message)
    def page(study: object, values: object, tell: Any) -> Update:
        names = checked(study, values)
        html = sections.page(names, tell)
        stem = "-".join(names)[:80].replace("/", "-")
        return {ready: str(file_to_download(f"{stem}.html", html.encode()))}

    def page_of(study: object, values: object, progress: gr.Progress = _PROGRESS) -> Update:
        def tell(event: Event) -> None:
            if isinstance(event, Progress) and event.total:
                progress((event.done, event.total), desc=event.what, unit=event.unit)

        return page(study, values, tell)

    inputs = [choice.study, chosen]
    fold.expand(
        lambda: gr.update(choices=sections.choices()),
        None,
        chosen,
        **QUIET,
    )
    compare.click(tables, [*inputs, width], [message, shown], js=WITH_WIDTH, **PRESS)
    press(shown.click(csv_of, inputs, [message, ready], **EVERY, **PRESS), DOWNLOAD)
    press(
        report.click(
            page_of,
            inputs,
            [message, ready],
            api_visibility="private",
            concurrency_limit=1,
            show_progress_on=shown,
        ),
        DOWNLOAD,
    )
