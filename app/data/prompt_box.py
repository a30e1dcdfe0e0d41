"""The editor of prompts: two texts, and the validation accuracy that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.catalogue.teachers import (
    DEMO_TEACHER,
    read_teacher,
    teacher_choices,
    usual_teacher,
)
from app.config import AppConfig
from app.data.layout import Choice
from app.data.prompts import (
    WHY_NONE,
    preview_html,
    read_prompts,
    written_descriptions,
    written_templates,
)
from app.data.reading import Readings
from app.ui.events import QUIET, UNLIMITED
from app.ui.notice import Update, framed, notice, progress_html, section
from dait.errors import UserError
from dait.teachers.prompts import ENSEMBLES, Prompts, ensemble, reads_prompts

POLL_SECONDS = 1.0
SOON_SECONDS = 0.4
ENSEMBLE_TITLES = {"openai": "Add CLIP's 80 templates", "simple": "Add CLIP's best 7"}


@dataclass(frozen=True)
class PromptBox:
    """The prompts and their scores.

    open: set to the fingerprint of a data set that has been read; owner: the data set that the
    texts are about.
    """

    open: gr.State
    owner: gr.State
    teacher: gr.Dropdown
    templates: gr.Textbox
    descriptions: gr.Textbox
    editor: gr.Column
    preview: gr.HTML
    timer: gr.Timer

    @property
    def values(self) -> list[Any]:
        """Teacher, templates, descriptions."""
        return [self.teacher, self.templates, self.descriptions]


def build_prompt_box(config: AppConfig, readings: Readings, choice: Choice) -> PromptBox:
    """Lay the box out and wire it; it is filled when another data set is opened."""
    section(
        "Prompts of the frozen teacher",
        "The texts that describe each class to a vision-language model. Their accuracy is measured "
        "on the validation images as you write.",
    )
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            teacher = gr.Dropdown(
                teacher_choices(config),
                value=DEMO_TEACHER,
                label="Frozen teacher",
                allow_custom_value=config.paths,
                elem_id="prompt-teacher",
            )
            with gr.Column() as editor:
                templates = gr.Textbox(
                    label="Templates, one per line",
                    info="{} is replaced by the class name, as in: a photo of a {}.",
                    lines=3,
                    max_lines=8,
                    elem_id="templates",
                )
                adders = {}
                with gr.Row():
                    for name in ENSEMBLES:
                        adders[name] = gr.Button(ENSEMBLE_TITLES[name], size="sm", min_width=120)
                    reset = gr.Button("Reset to the data set's own", size="sm", min_width=120)
                descriptions = gr.Textbox(
                    label="Descriptions, one per line",
                    info="A class, a colon, and a sentence about it. A class may have several.",
                    lines=5,
                    max_lines=10,
                    elem_id="descriptions",
                )
        with gr.Column(scale=2, min_width=300):
            preview = framed("", "preview")
    box = PromptBox(
        open=gr.State(""),
        owner=gr.State(""),
        teacher=teacher,
        templates=templates,
        descriptions=descriptions,
        editor=editor,
        preview=preview,
        timer=gr.Timer(POLL_SECONDS, active=False),
    )
    _wire(box, config, readings, choice, adders, reset)
    return box


def prompts_of(
    readings: Readings, value: object, size: object, templates: object, descriptions: object
) -> Prompts:
    """The prompts for an open data set. Raises ``UserError`` for invalid lines."""
    return read_prompts(templates, descriptions, readings.opened(value, size).dataset.classes)


def _wire(
    box: PromptBox,
    config: AppConfig,
    readings: Readings,
    choice: Choice,
    adders: dict[str, gr.Button],
    reset: gr.Button,
) -> None:
    chosen = [choice.source, choice.size]
    outputs = [box.editor, box.preview, box.timer]

    def score(value: object, size: object, teacher: object, *texts: object) -> Update:
        return _score(box, config, readings, value, size, teacher, *texts)

    def update(owner: str, value: object, *written: object) -> Update:
        # Until the box is filled again, the texts are about the previous data set.
        return score(value, *written) if owner == value else {box.timer: gr.update(active=False)}

    def fill(value: object, size: object, owner: str, *written: object) -> Update:
        """Another data set starts with its own prompts; the same at another size keeps them."""
        try:
            classes = readings.opened(value, size).dataset.classes
        except UserError:
            return {box.timer: gr.update(active=False)}  # another one was chosen meanwhile
        if owner == value:
            return score(value, size, *written)
        own = written_descriptions(classes)
        teacher = usual_teacher(value)
        filled = {box.teacher: teacher, box.templates: "", box.descriptions: own, box.owner: value}
        return filled | score(value, size, teacher, "", own)

    def revert(value: object, size: object, teacher: object) -> Update:
        own = written_descriptions(readings.opened(value, size).dataset.classes)
        return {box.templates: "", box.descriptions: own} | score(value, size, teacher, "", own)

    def add(name: str, text: str, *rest: object) -> Update:
        value, size, teacher, descriptions = rest
        lines = [line for line in text.splitlines() if line.strip()]
        lines += [line for line in ensemble(name) if line not in lines]
        longer = written_templates(lines)
        return {box.templates: longer} | score(value, size, teacher, longer, descriptions)

    every = [box.owner, box.teacher, box.templates, box.descriptions]
    box.open.change(fill, [*chosen, box.owner, *box.values], [*every, *outputs], **QUIET)
    inputs = [box.owner, *chosen, *box.values]
    box.timer.tick(update, inputs, outputs, **UNLIMITED)
    box.teacher.input(update, inputs, outputs, trigger_mode="always_last", **QUIET)
    for text in (box.templates, box.descriptions):
        # Not ``input``, which pasting does not trigger. Of many key strokes the last one counts.
        text.change(update, inputs, outputs, trigger_mode="always_last", **QUIET)
    reset.click(revert, [*chosen, box.teacher], [*every, *outputs], **QUIET)
    for name, button in adders.items():
        button.click(
            lambda *values, name=name: add(name, *values),
            [box.templates, *chosen, box.teacher, box.descriptions],
            [*every, *outputs],
            **QUIET,
        )


def _score(
    box: PromptBox,
    config: AppConfig,
    readings: Readings,
    value: object,
    size: object,
    teacher: object,
    templates: object,
    descriptions: object,
) -> Update:
    try:
        name = read_teacher(config, teacher)
        if not reads_prompts(name):
            return _preview(box, f"<p>{WHY_NONE}</p>", writes=False)
        prompts = prompts_of(readings, value, size, templates, descriptions)
        job = readings.scorer(value, size, name)
        job.wait(SOON_SECONDS)
        if job.running:
            return _preview(box, progress_html(job), waits=True)
        if job.result is None:
            return _preview(box, notice(str(job.error)))
        scorer = job.result
        text = preview_html(scorer.score(prompts), scorer.score(Prompts()), scorer.classes)
        return _preview(box, text)
    except UserError as error:
        return _preview(box, notice(str(error)))


def _preview(box: PromptBox, text: str, waits: bool = False, writes: bool = True) -> Update:
    return {
        box.preview: text,
        box.timer: gr.update(active=waits),
        box.editor: gr.update(visible=writes),
    }
