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
    progress_html,
    report_html,
)
from app.queue.jobs import Jobs
from app.ui.notice import HIDDEN_NOTICE, notice
from dait.errors import UserError

POLL_SECONDS = 1.0
# Private handlers can still be called directly: what they take is checked inside.
POLL: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}
PRESS: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 4}

Update = dict[Any, Any]
"""What changes on the page, by component."""


@dataclass(frozen=True)
class DataTab:
    """What the rest of the page needs of the tab."""

    choice: Choice
    prompts: PromptBox
    readings: Readings


class _Tab:
    """The handlers of one page's tab; what a visitor sees lives in the page alone."""

    def __init__(self, config: AppConfig, jobs: Jobs) -> None:
        self.jobs = jobs
        self.readings = Readings(Sources(config))
        self.choice: Choice = lay_out_choice(config, self.readings.sources)
        with gr.Column(visible=False) as self.column:
            self.body: Body = lay_out_body()
            self.prompts = build_prompt_box(config, self.readings, self.choice)
        self.drawn = gr.State(False)
        with gr.Column(visible=False) as self.birds:
            build_birds(self.drawn)
        self.seen = gr.State("")
        self.timer = gr.Timer(POLL_SECONDS, active=False)

    @property
    def outputs(self) -> list[Any]:
        """Everything that choosing, polling and deleting may change."""
        choice, body = self.choice, self.body
        return [
            *(choice.source, choice.notice, choice.about, choice.read, choice.use),
            *(choice.delete, choice.sure, choice.progress, self.column, body.report),
            *(body.counts, body.problems, body.split, body.label, body.grid, body.page),
            *(self.birds, self.drawn, self.prompts.open, self.seen, self.timer),
        ]

    def choose(self, value: object, size: object) -> Update:
        """Show a data set: at once what is known, then, as it is read, what is in it."""
        card = self.readings.sources.card(value)
        if card is None or card.available:
            return self.read(value, size)
        # What lies elsewhere is fetched when it is asked for and not by the way.
        return self._head(value) | self._closed() | self._offered(DOWNLOAD)

    def read(self, value: object, size: object) -> Update:
        """Begin to read, whatever has to be downloaded for it."""
        try:
            work = self.readings.start(value, size)
        except UserError as error:
            return self._head(value) | self._refused(str(error))
        work.wait(SOON_SECONDS)
        return self._head(value) | self._closed() | self.look(value, size, "")

    def look(self, value: object, size: object, seen: str) -> Update:
        """The reading as it is: its progress, its end, or why it failed."""
        work = self.readings.get(value, size)
        if work is None:
            return {self.timer: gr.update(active=False)}
        if work.running:
            return {
                self.choice.progress: gr.update(value=progress_html(work), visible=True),
                self.timer: gr.update(active=True),
            }
        if work.result is None:
            listed = self._choices(value)
            gone = listed[self.choice.source]["value"] is None
            head = self._head(None) if gone else {}
            return head | self._refused(str(work.error)) | listed
        mark = f"{value} {size} {work.result.dataset.fingerprint}"
        if mark == seen:
            return {self.timer: gr.update(active=False)}
        return self._shown(value, work.result) | {self.seen: mark}

    def arrive(self, value: object, size: object, seen: str) -> Update:
        """The tab is opened: uploads may have come or gone; what was read before is shown."""
        listed = self._choices(value)
        if seen or not value:
            return listed
        if self.readings.get(value, size) is not None:
            return self.read(value, size) | listed
        card = self.readings.sources.card(value)
        label = READ if card is None or card.available else DOWNLOAD
        return self._head(value) | self._offered(label) | listed

    def receive(self, sent: str | None, size: object) -> Update:
        """An archive has arrived."""
        if sent is None:
            return {self.choice.notice: gr.skip()}  # Gradio takes no empty dict
        try:
            value = self.readings.keep_upload(sent, Path(sent).name)
        except UserError as error:
            return {self.choice.notice: notice(str(error))}
        return self._choices(value) | self.read(value, size)

    def open_path(self, text: object, size: object) -> Update:
        """The user names a path of this machine."""
        try:
            value = self.readings.sources.named(text)
        except UserError as error:
            return {self.choice.notice: notice(str(error))}
        return self._choices(value) | self.read(value, size)

    def delete(self, value: object) -> Update:
        """Delete the chosen upload, unless a training works with it."""
        unsure = {self.choice.sure: gr.update(visible=False)}
        try:
            self._require_unused(value)
            self.readings.delete_upload(value)
        except UserError as error:
            return unsure | {self.choice.notice: notice(str(error))}
        return self._head(None) | self._closed() | self._choices(None)

    def turn(self, by: int, page: int, *shown: object) -> tuple[str, int]:
        """The sample images ``by`` pages on, or from the first page; and the page's number."""
        number = page + by if by and isinstance(page, int) else 0
        value, size, split, label = shown
        try:
            return grid_html(self.readings.opened(value, size), split, label, number), number
        except UserError as error:
            return notice(str(error)), number

    def _require_unused(self, value: object) -> None:
        if self.jobs.needing(self.readings.sources.resolve(value)):
            raise UserError(
                "A training works with this data, waits for it or is paused. Wait until it has "
                "finished, or delete it first."
            )

    def _choices(self, value: object) -> Update:
        """The list anew with ``value`` chosen; nothing is chosen where it is gone."""
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
            self.drawn: value == FIELD_GUIDE,
            self.choice.delete: gr.update(visible=uploaded),
            self.choice.sure: gr.update(visible=False),
        }

    def _offered(self, label: str) -> Update:
        return {self.choice.read: gr.update(value=label, visible=True)}

    def _closed(self) -> Update:
        return {
            self.column: gr.update(visible=False),
            self.choice.use: gr.update(visible=False),
            self.choice.progress: gr.update(visible=False),
            self.timer: gr.update(active=False),
            self.seen: "",
        }

    def _refused(self, sentence: str) -> Update:
        return self._closed() | {self.choice.notice: notice(sentence)}

    def _shown(self, value: object, opened: OpenDataset) -> Update:
        problems = problems_html(opened)
        return {
            self.choice.about: self._about(value, opened),
            self.choice.use: gr.update(visible=True),
            self.choice.progress: gr.update(visible=False),
            self.column: gr.update(visible=True),
            self.body.report: report_html(opened.report),
            self.body.counts: counts_figure(opened.report),
            self.body.problems: gr.update(value=problems, visible=bool(problems)),
            self.body.split: "train",
            self.body.label: gr.update(choices=class_choices(opened), value=ALL_CLASSES),
            self.body.grid: grid_html(opened, "train", ALL_CLASSES, 0),
            self.body.page: 0,
            self.prompts.open: opened.dataset.fingerprint,
            self.timer: gr.update(active=False),
        }


def build_data_tab(panel: gr.Tab, config: AppConfig, jobs: Jobs) -> DataTab:
    """Lay the tab out inside ``panel``, which is the current ``gr.Tab``, and wire it."""
    tab = _Tab(config, jobs)
    choice, body = tab.choice, tab.body
    chosen = [choice.source, choice.size]
    panel.select(tab.arrive, [*chosen, tab.seen], tab.outputs, **POLL)
    tab.timer.tick(tab.look, [*chosen, tab.seen], tab.outputs, **POLL)
    choice.source.input(tab.choose, chosen, tab.outputs, **PRESS)
    choice.size.input(tab.choose, chosen, tab.outputs, **PRESS)
    choice.read.click(tab.read, chosen, tab.outputs, **PRESS)
    choice.upload.upload(tab.receive, [choice.upload, choice.size], tab.outputs, **PRESS).then(
        None, None, choice.upload, js="() => null", api_visibility="private"
    )
    choice.path.submit(tab.open_path, [choice.path, choice.size], tab.outputs, **PRESS)
    _wire_deletion(tab)
    shown = [body.page, *chosen, body.split, body.label]
    turned = [body.grid, body.page]
    for event in (body.split.input, body.label.input):
        event(partial(tab.turn, 0), shown, turned, **PRESS)
    body.more.click(partial(tab.turn, 1), shown, turned, **PRESS)
    return DataTab(choice, tab.prompts, tab.readings)


def _wire_deletion(tab: _Tab) -> None:
    choice = tab.choice
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    choice.delete.click(lambda: gr.update(visible=True), None, choice.sure, **quiet)
    choice.keep.click(lambda: gr.update(visible=False), None, choice.sure, **quiet)
    choice.really.click(tab.delete, choice.source, tab.outputs, **PRESS)
