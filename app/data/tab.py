"""The Data tab: choose or upload a data set, see what is in it, write prompts, train with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from app.catalogue.sources import FIELD_GUIDE, UPLOAD, Sources
from app.config import AppConfig
from app.data.birds import build_birds
from app.data.layout import (
    DOWNLOAD,
    NOTHING_CHOSEN,
    READ,
    Body,
    Choice,
    lay_out_body,
    lay_out_choice,
    split_choices,
)
from app.data.prompt_box import PromptBox, build_prompt_box
from app.data.reading import SOON_SECONDS, OpenDataset, Readings
from app.data.views import (
    ALL_CLASSES,
    about_html,
    class_choices,
    counts_figure,
    grid_html,
    problems_html,
    report_html,
)
from app.queue.training_queue import TrainingQueue
from app.ui.events import LAST, PRIVATE, QUIET
from app.ui.notice import HIDDEN_NOTICE, Update, notice, progress_html
from dait.errors import UserError

POLL_SECONDS = 1.0
# Private handlers can still be called directly: what they take is checked inside.
POLL: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}
PRESS: dict[str, Any] = {**PRIVATE, "concurrency_limit": 4}
CHOOSE: dict[str, Any] = {**PRESS, **LAST}


@dataclass(frozen=True)
class DataTab:
    """What the rest of the page needs of the tab."""

    choice: Choice
    prompts: PromptBox
    readings: Readings


class _Tab:
    """The components and handlers of the tab; a visitor's state is in the page alone."""

    def __init__(self, config: AppConfig, queue: TrainingQueue) -> None:
        self.queue = queue
        self.readings = Readings(Sources(config))
        self.choice: Choice = lay_out_choice(config, self.readings.sources)
        with gr.Column(visible=False) as self.column:
            self.body: Body = lay_out_body()
            self.prompts = build_prompt_box(config, self.readings, self.choice)
        self.birds_shown = gr.State(False)
        with gr.Column(visible=False) as self.birds:
            build_birds(self.birds_shown)
        self.shown = gr.State("")
        self.timer = gr.Timer(POLL_SECONDS, active=False)

    @property
    def outputs(self) -> list[Any]:
        """Everything that a handler may change."""
        choice, body = self.choice, self.body
        return [
            choice.source,
            choice.notice,
            choice.about,
            choice.read,
            choice.use,
            choice.delete,
            choice.confirm,
            choice.progress,
            self.column,
            body.report,
            body.counts,
            body.problems,
            body.split,
            body.label,
            body.grid,
            body.page,
            self.birds,
            self.birds_shown,
            self.prompts.open,
            self.shown,
            self.timer,
        ]

    def choose(self, value: object, size: object) -> Update:
        """Show a data set: what is known of it now, then what is in it as it is read."""
        card = self.readings.sources.card(value)
        if card is None or card.available:
            return self.read(value, size)
        # Downloads start only when the visitor presses the button.
        return self._head(value) | self._closed() | self._offered(DOWNLOAD)

    def read(self, value: object, size: object) -> Update:
        """Start reading, with downloads if needed."""
        try:
            job = self.readings.start(value, size)
        except UserError as error:
            return self._head(value) | self._refused(str(error))
        job.wait(SOON_SECONDS)
        return self._head(value) | self._closed() | self.poll(value, size, "")

    def poll(self, value: object, size: object, shown: str) -> Update:
        """The state of the reading: its progress, its result, or its error."""
        job = self.readings.get(value, size)
        if job is None:
            return {self.timer: gr.update(active=False)}
        if job.running:
            return {
                self.choice.progress: gr.update(value=progress_html(job), visible=True),
                self.timer: gr.update(active=True),
            }
        if job.result is None:
            listed = self._choices(value)
            gone = listed[self.choice.source]["value"] is None
            head = self._head(None) if gone else {}
            return head | self._refused(str(job.error)) | listed
        mark = f"{value} {size} {job.result.dataset.fingerprint}"
        if mark == shown:
            return {self.timer: gr.update(active=False)}
        return self._opened(value, job.result) | {self.shown: mark}

    def open_tab(self, value: object, size: object, shown: str) -> Update:
        """The tab is opened: uploads may have come or gone; an earlier reading is shown."""
        listed = self._choices(value)
        if shown or not value:
            return listed
        if self.readings.get(value, size) is not None:
            return self.read(value, size) | listed
        card = self.readings.sources.card(value)
        label = READ if card is None or card.available else DOWNLOAD
        return self._head(value) | self._offered(label) | listed

    def upload(self, sent: str | None, size: object) -> Update:
        """An archive was uploaded."""
        if sent is None:
            return {self.choice.notice: gr.skip()}  # Gradio takes no empty dict
        try:
            value = self.readings.keep_upload(sent, Path(sent).name)
        except UserError as error:
            return {self.choice.notice: notice(str(error))}
        return self._choices(value) | self.read(value, size)

    def open_path(self, text: object, size: object) -> Update:
        """The user of this machine has typed a path."""
        try:
            value = self.readings.sources.named(text)
        except UserError as error:
            return {self.choice.notice: notice(str(error))}
        return self._choices(value) | self.read(value, size)

    def delete(self, value: object) -> Update:
        """Delete the chosen upload, unless a training needs it."""
        hidden = {self.choice.confirm: gr.update(visible=False)}
        try:
            self._require_unused(value)
            self.readings.delete_upload(value)
        except UserError as error:
            return hidden | {self.choice.notice: notice(str(error))}
        return self._head(None) | self._closed() | self._choices(None)

    def turn_page(self, by: int, page: int, *shown: object) -> tuple[str, int]:
        """The sample images ``by`` pages further, or the first page for 0; and the page number."""
        number = page + by if by and isinstance(page, int) else 0
        value, size, split, label = shown
        try:
            return grid_html(self.readings.opened(value, size), split, label, number), number
        except UserError as error:
            return notice(str(error)), number

    def _require_unused(self, value: object) -> None:
        if self.queue.needing(self.readings.sources.resolve(value)):
            raise UserError(
                "A running, waiting or paused training needs this data. Wait until it has "
                "finished, or delete it first."
            )

    def _choices(self, value: object) -> Update:
        """The current list with ``value`` selected; nothing is selected if it is gone."""
        choices = self.readings.sources.choices(value)
        kept = value if value in [known for _, known in choices] else None
        return {self.choice.source: gr.update(choices=choices, value=kept)}

    def _about(self, value: object, opened: OpenDataset | None = None) -> str:
        sources = self.readings.sources
        title = sources.title(value)
        if title is None:
            return NOTHING_CHOSEN
        report = opened.report if opened is not None else None
        return about_html(title, sources.card(value), report)

    def _head(self, value: object) -> Update:
        uploaded = isinstance(value, str) and value.startswith(UPLOAD)
        return {
            self.choice.notice: HIDDEN_NOTICE,
            self.choice.about: self._about(value),
            self.choice.read: gr.update(visible=False),
            self.birds: gr.update(visible=value == FIELD_GUIDE),
            self.birds_shown: value == FIELD_GUIDE,
            self.choice.delete: gr.update(visible=uploaded),
            self.choice.confirm: gr.update(visible=False),
        }

    def _offered(self, label: str) -> Update:
        return {self.choice.read: gr.update(value=label, visible=True)}

    def _closed(self) -> Update:
        return {
            self.column: gr.update(visible=False),
            self.choice.use: gr.update(visible=False),
            self.choice.progress: gr.update(visible=False),
            self.timer: gr.update(active=False),
            self.shown: "",
        }

    def _refused(self, sentence: str) -> Update:
        return self._closed() | {self.choice.notice: notice(sentence)}

    def _opened(self, value: object, opened: OpenDataset) -> Update:
        problems = problems_html(opened)
        return {
            self.choice.about: self._about(value, opened),
            self.choice.use: gr.update(visible=True),
            self.choice.progress: gr.update(visible=False),
            self.column: gr.update(visible=True),
            self.body.report: report_html(opened.report),
            self.body.counts: counts_figure(opened.report),
            self.body.problems: gr.update(value=problems, visible=bool(problems)),
            self.body.split: gr.update(choices=split_choices(opened.report.counts), value="train"),
            self.body.label: gr.update(choices=class_choices(opened), value=ALL_CLASSES),
            self.body.grid: grid_html(opened, "train", ALL_CLASSES, 0),
            self.body.page: 0,
            self.prompts.open: opened.dataset.fingerprint,
            self.timer: gr.update(active=False),
        }


def build_data_tab(panel: gr.Tab, config: AppConfig, queue: TrainingQueue) -> DataTab:
    """Lay the tab out inside ``panel``, which is the current ``gr.Tab``, and wire it."""
    tab = _Tab(config, queue)
    choice, body = tab.choice, tab.body
    chosen = [choice.source, choice.size]
    panel.select(tab.open_tab, [*chosen, tab.shown], tab.outputs, **POLL)
    tab.timer.tick(tab.poll, [*chosen, tab.shown], tab.outputs, **POLL)
    choice.source.input(tab.choose, chosen, tab.outputs, **CHOOSE)
    choice.size.input(tab.choose, chosen, tab.outputs, **CHOOSE)
    choice.read.click(tab.read, chosen, tab.outputs, **PRESS)
    choice.upload.upload(tab.upload, [choice.upload, choice.size], tab.outputs, **PRESS).then(
        None, None, choice.upload, js="() => null", api_visibility="private"
    )
    choice.path.submit(tab.open_path, [choice.path, choice.size], tab.outputs, **PRESS)
    _wire_deletion(tab)
    shown = [body.page, *chosen, body.split, body.label]
    turned = [body.grid, body.page]
    for event in (body.split.input, body.label.input):
        event(partial(tab.turn_page, 0), shown, turned, **CHOOSE)
    body.more.click(partial(tab.turn_page, 1), shown, turned, **PRESS)
    return DataTab(choice, tab.prompts, tab.readings)


def _wire_deletion(tab: _Tab) -> None:
    choice = tab.choice
    choice.delete.click(lambda: gr.update(visible=True), None, choice.confirm, **QUIET)
    choice.keep.click(lambda: gr.update(visible=False), None, choice.confirm, **QUIET)
    choice.really.click(tab.delete, choice.source, tab.outputs, **PRESS)
