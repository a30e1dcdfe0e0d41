"""The pipeline of the Train tab's form, in a fold: drawn when it is opened and at every change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.config import AppConfig
from app.pipeline.diagram import pipeline_html
from app.pipeline.facts import pipeline_of_order
from app.train.form import FormValues, read_form
from app.ui.events import LAST, QUIET
from app.ui.notice import hint, notice
from dait.errors import UserError

DRAW: dict[str, Any] = {**QUIET, **LAST, "concurrency_limit": 2}
DRAWING = hint("Building the networks once, to measure them …", live=True)


@dataclass(frozen=True)
class PipelineBox:
    """The fold, the diagram in it, and whether the fold was opened."""

    fold: gr.Accordion
    drawn: gr.HTML
    opened: gr.State


def pipeline_box() -> PipelineBox:
    """Lay it out, folded."""
    with gr.Accordion("The pipeline", open=False, elem_id="train-pipeline") as fold:
        drawn = gr.HTML(DRAWING, apply_default_css=False)
    return PipelineBox(fold, drawn, gr.State(False))


def wire_pipeline_box(box: PipelineBox, config: AppConfig, values: list[Any]) -> None:
    """values: the form's components in the order of ``FormValues``."""

    def draw(opened: object, *values: Any) -> Any:
        return drawn(config, FormValues(*values)) if opened is True else gr.skip()

    events = [component.change for component in (box.opened, *values)]
    gr.on(events, draw, [box.opened, *values], box.drawn, **DRAW)
    box.fold.expand(lambda: True, None, box.opened, **DRAW)


def drawn(config: AppConfig, values: FormValues) -> str:
    """The diagram as HTML, or why there is none."""
    try:
        return pipeline_html(pipeline_of_order(read_form(config, values), config.paths))
    except UserError as error:
        return notice(str(error).strip(), calm=True)
