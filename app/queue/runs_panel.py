"""The current state of all trainings: one in detail, all in a list."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from app.background import ERRORS
from app.config import AppConfig
from app.policy import Policy
from app.queue.actions import LABELS, Action, allowed, require
from app.queue.curves_box import CurvesBox, CurveSelection, Part
from app.queue.run_list import NO_STUDIES, PICK, runs_html
from app.queue.training_queue import LONGEST_NAME, TrainingQueue
from app.queue.watch import NOTHING_YET, card, log_html, log_mark
from app.studies.entries import StudyEntry, entry_of, own_studies
from app.ui.events import UNLIMITED
from app.ui.notice import HIDDEN_NOTICE, Update, framed, notice, notice_box, section
from app.ui.plot import WIDE
from app.ui.wording import ordinal
from dait.errors import UserError
from dait.runs.folder import StudyFolder

POLL_SECONDS = 2.0
ROWS = 30
"""Studies in the list at first; each press of the button adds as many."""

# Private handlers can still be called directly: ids and values are checked inside.
WITH_WIDTH = "(state, _) => [state, window.innerWidth]"
TO_THE_CARD = "() => document.querySelector('#live')?.scrollIntoView({ block: 'nearest' })"
SET_ACTIVE = "() => ({ __type__: 'update', active: %s })"
"""JavaScript: start or stop a timer in the browser, without a request."""
TO_THE_NAME = "() => setTimeout(() => document.querySelector('#name textarea')?.select(), 150)"

DIRECT: tuple[Action, ...] = ("pause", "resume", "cancel", "retry", "delete")
"""Actions that need nothing but a press."""


class PageState:
    """What one open page shows, and what it has already received.

    study: the selected one; empty: the running one, else the next, else the newest. renaming: the
    study whose new name is being typed; empty: none. rows: of the list. curves: which, and of
    which other studies. marks: of the parts that the page has, to send only what has changed.
    Changed in place, so that a poll that runs at the same time sees the change.
    """

    def __init__(self) -> None:
        self.study = self.renaming = ""
        self.rows = ROWS
        self.curves = CurveSelection()
        self.marks: dict[Any, str] = {}


class RunsPanel:
    """The components and handlers of the panel; a state's state is in ``PageState``."""

    def __init__(self, config: AppConfig, queue: TrainingQueue) -> None:
        self.config, self.queue = config, queue
        self.box = CurvesBox(config)

    def lay_out_card(self) -> None:
        """The selected study, and the actions on it."""
        self.state, self.shown = gr.State(PageState()), gr.State("")
        section("Training", "It continues when this page is closed.")
        self.errors = notice_box("background-notice")
        self.card = gr.HTML(NOTHING_YET, elem_id="live", apply_default_css=False)
        self.notice = notice_box("run-notice")
        with gr.Row(elem_classes="ds-actions"):
            self.buttons: dict[Action, gr.Button] = {
                action: gr.Button(
                    label,
                    size="sm",
                    min_width=90,
                    interactive=False,
                    variant="primary" if action == "compare" else "secondary",
                    elem_id=f"run-{action}",
                )
                for action, label in LABELS.items()
            }
        with gr.Row(visible=False, elem_id="renaming") as self.renaming:
            self.name = gr.Textbox(
                label="New name",
                max_lines=1,
                max_length=LONGEST_NAME,
                scale=3,
                min_width=200,
                elem_id="name",
            )
            self.save = gr.Button("Save", size="sm", min_width=90, elem_id="name-save")
            self.keep = gr.Button("Keep the old name", size="sm", min_width=90, elem_id="name-keep")
        self.box.lay_out()
        self.curves = self.box.plot
        with gr.Accordion("Log", open=False, elem_id="log-fold"):
            self.log = gr.HTML("", elem_id="log", apply_default_css=False)

    def lay_out_list(self) -> None:
        """All studies, and a button that restores a deleted one."""
        section(
            "Runs",
            "Running, waiting and earlier studies. Retry trains the same again from the start; "
            "Resume continues where it stopped.",
        )
        self.undo = gr.Button("", visible=False, size="sm", elem_id="run-undo")
        self.list = framed(NO_STUDIES, "studies", js_on_load=PICK)
        self.more = gr.Button("Show older studies", visible=False, size="sm", elem_id="run-more")
        self.width = gr.Number(WIDE, visible=False)

    @property
    def inputs(self) -> list[Any]:
        """The inputs of ``poll``."""
        return [self.state, self.width]

    @property
    def outputs(self) -> list[Any]:
        """All that a handler may change."""
        return [
            self.errors,
            self.card,
            self.notice,
            *self.buttons.values(),
            self.renaming,
            self.name,
            *self.box.outputs,
            self.log,
            self.undo,
            self.list,
            self.more,
            self.shown,
        ]

    def poll(self, state: PageState, width: object) -> Update:
        """The current state: only what has changed since the page's last update."""
        while True:
            study, marks = state.study, state.marks
            shown, parts = self._current(state, width)
            # Unless another handler has sent parts meanwhile.
            if state.study == study and state.marks is marks:
                break
        state.marks = {part.elem_id: mark for part, mark, _ in parts}
        changed = {part: value for part, mark, value in parts if marks.get(part.elem_id) != mark}
        return changed | {self.shown: shown}

    def load(self, state: PageState, width: object) -> Update:
        """Everything, for a page that was just opened."""
        state.marks = {}
        return {self.width: width} | self.poll(state, width)

    def choose_curves(
        self, show: object, beside: object, state: PageState, width: object
    ) -> Update:
        """Show other curves, or those of other studies too."""
        state.curves.choose(show, beside)
        return self.poll(state, width)

    def show_more(self, state: PageState, width: object) -> Update:
        """Show older studies in the list too."""
        state.rows += ROWS
        return self.poll(state, width)

    def started(self, study_id: str, state: PageState, width: object) -> Update:
        """Show a study that was just put into the queue."""
        state.study = study_id
        return {self.notice: HIDDEN_NOTICE} | self.poll(state, width)

    def start_sentence(self, study_id: str) -> str:
        """What has become of a study that was just put into the queue."""
        entry = next((e for e in own_studies(self.config) if e.id == study_id), None)
        if entry is None or not entry.position:
            return "Training has started: follow it below. It continues when this page is closed."
        return (
            f"It is in the queue, {ordinal(entry.position)}, and starts by itself, also when this "
            "page is closed."
        )

    def press(self, action: Action, shown: object, state: PageState, width: object) -> Update:
        """Perform an action on the selected study."""
        state.renaming = ""
        try:
            study = require(self.config, shown, action)
            message = self._do(action, study, state)
        except UserError as error:
            message = notice(str(error))
        # Cancelling takes seconds, in which the visitor may have gone on to another study.
        slow = action in ("pause", "resume", "cancel") and message == HIDDEN_NOTICE
        moved_on = slow and state.study != shown
        return ({} if moved_on else {self.notice: message}) | self.poll(state, width)

    def select(self, shown: str, state: PageState, width: object, event: gr.EventData) -> Update:
        """Show another study of the list."""
        state.study = str(getattr(event, "study", ""))
        if state.study == shown:
            return self.poll(state, width)
        return {self.notice: HIDDEN_NOTICE} | self.poll(state, width)

    def open_renaming(self, shown: object, state: PageState, width: object) -> Update:
        """Show the field for a new name, filled with the current one."""
        try:
            study = require(self.config, shown, "rename")
        except UserError as error:
            return {self.notice: notice(str(error))}
        state.renaming = study.path.name
        title = entry_of(study, shipped=False).title
        return {self.name: title} | self.poll(state, width)

    def close_renaming(self, state: PageState, width: object) -> Update:
        """Keep the old name."""
        state.renaming = ""
        return self.poll(state, width)

    def rename(self, name: object, shown: object, state: PageState, width: object) -> Update:
        """Rename the selected study."""
        try:
            study = require(self.config, shown, "rename")
            self.queue.rename(study.path.name, name)
        except UserError as error:
            return {self.notice: notice(str(error))}
        state.renaming = ""
        return {self.notice: HIDDEN_NOTICE} | self.poll(state, width)

    def restore(self, state: PageState, width: object) -> Update:
        """Undo the last deletion."""
        try:
            Policy(self.config).require_tidy()
            state.study = self.queue.undo()
        except UserError as error:
            return {self.notice: notice(str(error))} | self.poll(state, width)
        return {self.notice: HIDDEN_NOTICE} | self.poll(state, width)

    def _do(self, action: Action, study: StudyFolder, state: PageState) -> str:
        queue, name = self.queue, study.path.name
        if action == "retry":
            state.study = queue.retry(name)
        elif action == "delete":
            title = entry_of(study, shipped=False).title
            queue.delete(name)
            state.study = ""
            return notice(f"‘{title}’ is deleted. It can be restored for a day.", calm=True)
        elif action in ("pause", "resume", "cancel"):
            state.study = name  # keep showing it, whatever the queue starts meanwhile
            {"pause": queue.pause, "resume": queue.resume, "cancel": queue.cancel}[action](name)
        return HIDDEN_NOTICE

    def _current(self, state: PageState, width: object) -> tuple[str, list[Part]]:
        """The id of the selected study, and all parts of the panel."""
        entries = own_studies(self.config)
        entry = next((e for e in entries if e.id == state.study), next(iter(entries), None))
        shown = entry.id if entry else ""
        can = allowed(self.config, entry) if entry else frozenset[Action]()
        errors = ERRORS.sentences()
        return shown, [
            _part(self.errors, notice(" ".join(errors)) if errors else HIDDEN_NOTICE),
            _part(self.list, runs_html(entries, shown, state.rows)),
            _part(self.more, gr.update(visible=len(entries) > state.rows)),
            _part(self.undo, self._undo()),
            *(_part(b, gr.update(interactive=action in can)) for action, b in self.buttons.items()),
            # Only where it changes: a late answer must not close what was opened meanwhile.
            _part(self.renaming, gr.update(visible=bool(shown) and state.renaming == shown)),
            *(
                self._details(entry, entries, state, width)
                if entry
                else self._without_study(NOTHING_YET)
            ),
        ]

    def _details(
        self, entry: StudyEntry, entries: list[StudyEntry], state: PageState, width: object
    ) -> list[Part]:
        study, marks = StudyFolder(self.config.runs.resolve(entry.id)), state.marks
        try:
            mark, log = log_mark(study), None
            if marks.get(self.log.elem_id) != mark:  # read only if it has changed
                log = log_html(study)
            drawn = self.box.parts(
                study, entries, state.curves, width, marks.get(self.curves.elem_id)
            )
            shown = card(study, entry)
        except UserError as error:
            return self._without_study(notice(str(error)))
        return [_part(self.card, shown), *drawn, (self.log, mark, log)]

    def _without_study(self, instead: str) -> list[Part]:
        return [_part(self.card, instead), *self.box.hidden_parts(), _part(self.log, "")]

    def _undo(self) -> Any:
        deleted = self.queue.trash.latest() if self.config.limits.tidy else None
        if deleted is None:
            return gr.update(visible=False)
        title = entry_of(deleted, shipped=False).title
        return gr.update(value=f"Undo: restore ‘{title}’", visible=True)


def wire_poll(panel: RunsPanel, tab: gr.Tab, others: Sequence[gr.Tab]) -> None:
    """Update the panel now and then while its tab is open."""
    timer = gr.Timer(POLL_SECONDS, active=False)
    timer.tick(panel.poll, panel.inputs, panel.outputs, **UNLIMITED)
    tab.select(None, None, timer, js=SET_ACTIVE % "true", **UNLIMITED)
    tab.select(panel.poll, panel.inputs, panel.outputs, **UNLIMITED)
    for other in others:
        other.select(None, None, timer, js=SET_ACTIVE % "false", **UNLIMITED)


def wire_runs_panel(panel: RunsPanel, page: gr.Blocks) -> None:
    """Wire the panel's buttons, and show the current state when the page is opened.

    "See in Compare" and "Start again from this" change other parts of the page, which wire them.
    """
    inputs, outputs, shown = panel.inputs, panel.outputs, panel.shown
    # A load event belongs to the page, so a reload and a second tab start with the current state.
    page.load(panel.load, inputs, [panel.width, *outputs], js=WITH_WIDTH, **UNLIMITED)
    panel.list.click(
        panel.select, [shown, *inputs], outputs, trigger_mode="multiple", **UNLIMITED
    ).then(None, None, None, js=TO_THE_CARD, api_visibility="private")
    for action in DIRECT:
        panel.buttons[action].click(
            partial(panel.press, action), [shown, *inputs], outputs, **UNLIMITED
        )
    panel.buttons["rename"].click(panel.open_renaming, [shown, *inputs], outputs, **UNLIMITED).then(
        None, None, None, js=TO_THE_NAME, api_visibility="private"
    )
    renamed = [panel.name, shown, *inputs]
    gr.on([panel.save.click, panel.name.submit], panel.rename, renamed, outputs, **UNLIMITED)
    panel.keep.click(panel.close_renaming, inputs, outputs, **UNLIMITED)
    curves = [panel.box.show, panel.box.beside]
    for choice in curves:
        choice.change(panel.choose_curves, [*curves, *inputs], outputs, **UNLIMITED)
    panel.undo.click(panel.restore, inputs, outputs, **UNLIMITED)
    panel.more.click(panel.show_more, inputs, outputs, **UNLIMITED)


def _part(component: Any, value: Any) -> Part:
    return component, str(value), value
