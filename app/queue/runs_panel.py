"""The trainings as they are, whoever looks and whenever: one of them closely, all in a list."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app.background import FAULTS
from app.compare.tab import CompareTab
from app.config import AppConfig
from app.policy import Policy
from app.queue.actions import LABELS, Action, allowed, require
from app.queue.curves_box import Chosen, CurvesBox, Part
from app.queue.jobs import LONGEST_NAME, Jobs
from app.queue.run_list import NO_STUDIES, PICK, runs_html
from app.queue.watch import NOTHING_YET, card, log_html, log_mark
from app.studies.entries import StudyEntry, entry_of, own_studies
from app.ui.notice import HIDDEN_NOTICE, framed, notice, notice_box, section
from app.ui.plot import WIDE
from dait.errors import UserError
from dait.runs.folder import StudyFolder

POLL_SECONDS = 2.0
ROWS = 30
"""Studies in the list before older ones are asked for; as many come with every press."""

# Private handlers can still be called directly: ids and values are checked inside.
QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}
WITH_WIDTH = "(visitor, _) => [visitor, window.innerWidth]"
TO_THE_CARD = "() => document.querySelector('#live')?.scrollIntoView({ block: 'nearest' })"
TO_THE_NAME = "() => setTimeout(() => document.querySelector('#name textarea')?.select(), 150)"

DIRECT: tuple[Action, ...] = ("pause", "resume", "cancel", "retry", "delete")
"""What is done with a press and nothing else."""

Update = dict[Any, Any]
"""What changes on the page, by component."""


class Visitor:
    """What one open page looks at, and what it shows already.

    study: the one that was chosen; empty: what trains, or is next, or is the newest. renaming: the
    one whose new name is asked for; empty: none. rows: of the list. curves: which, and of which
    others. marks: of the parts that the page has, by which a part that has not changed is known.
    Changed in place, so that a look that was under way meanwhile
    sees it.
    """

    def __init__(self) -> None:
        self.study = self.renaming = ""
        self.rows = ROWS
        self.curves = Chosen()
        self.marks: dict[Any, str] = {}


class RunsPanel:
    """The handlers of one page's panel; what a visitor sees lives in the page alone."""

    def __init__(self, config: AppConfig, jobs: Jobs) -> None:
        self.config, self.jobs = config, jobs
        self.box = CurvesBox(config)

    def lay_out_card(self) -> None:
        """The study that is looked at, and what can be done with it."""
        section("Training", "It goes on when this page is closed.")
        self.faults = notice_box("background-notice")
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
            self.keep = gr.Button("Keep the old", size="sm", min_width=90, elem_id="name-keep")
        self.box.lay_out()
        self.curves = self.box.plot
        with gr.Accordion("Log", open=False, elem_id="log-fold"):
            self.log = gr.HTML("", elem_id="log", apply_default_css=False)

    def lay_out_list(self) -> None:
        """All studies, and the way back for a deleted one."""
        section(
            "Runs",
            "What trains, what waits for it, and every study before. Retry trains the same from "
            "the beginning; Resume goes on where it was.",
        )
        self.undo = gr.Button("", visible=False, size="sm", elem_id="run-undo")
        self.list = framed(NO_STUDIES, "studies", js_on_load=PICK)
        self.more = gr.Button("Show older ones", visible=False, size="sm", elem_id="run-more")
        self.visitor, self.shown = gr.State(Visitor()), gr.State("")
        self.width = gr.Number(WIDE, visible=False)

    @property
    def inputs(self) -> list[Any]:
        """What ``look`` needs to know."""
        return [self.visitor, self.width]

    @property
    def outputs(self) -> list[Any]:
        """All that a look or a press may change."""
        return [
            *(
                self.faults,
                self.card,
                self.notice,
                *self.buttons.values(),
                self.renaming,
                self.name,
            ),
            *(*self.box.outputs, self.log, self.undo, self.list, self.more, self.shown),
        ]

    def look(self, visitor: Visitor, width: object) -> Update:
        """Everything as it is now; what this page shows already is left alone."""
        while True:
            study, marks = visitor.study, visitor.marks
            shown, parts = self._looked(visitor, width)
            # What another look has sent meanwhile is not what these parts were compared with.
            if visitor.study == study and visitor.marks is marks:
                break
        visitor.marks = {part.elem_id: mark for part, mark, _ in parts}
        changed = {part: value for part, mark, value in parts if marks.get(part.elem_id) != mark}
        return changed | {self.shown: shown}

    def arrive(self, visitor: Visitor, width: object) -> Update:
        """Everything, for a page that shows nothing yet."""
        visitor.marks = {}
        return {self.width: width} | self.look(visitor, width)

    def choose_curves(
        self, show: object, beside: object, visitor: Visitor, width: object
    ) -> Update:
        """Other curves, or those of other studies too."""
        visitor.curves.choose(show, beside)
        return self.look(visitor, width)

    def see_more(self, visitor: Visitor, width: object) -> Update:
        """Older studies in the list too."""
        visitor.rows += ROWS
        return self.look(visitor, width)

    def started(self, study_id: str, visitor: Visitor, width: object) -> Update:
        """Show a study that was just put into the queue."""
        visitor.study = study_id
        return {self.notice: HIDDEN_NOTICE} | self.look(visitor, width)

    def press(self, action: Action, shown: object, visitor: Visitor, width: object) -> Update:
        """Do something with the study that the page shows."""
        try:
            study = require(self.config, shown, action)
            message = self._do(action, study, visitor)
        except UserError as error:
            message = notice(str(error))
        visitor.renaming = ""
        return {self.notice: message} | self.look(visitor, width)

    def pick(self, shown: str, visitor: Visitor, width: object, event: gr.EventData) -> Update:
        """Look at another study of the list."""
        visitor.study = str(getattr(event, "study", ""))
        if visitor.study == shown:
            return self.look(visitor, width)
        return {self.notice: HIDDEN_NOTICE} | self.look(visitor, width)

    def open_renaming(self, shown: object, visitor: Visitor, width: object) -> Update:
        """Ask for a name, beginning with the present one."""
        try:
            study = require(self.config, shown, "rename")
        except UserError as error:
            return {self.notice: notice(str(error))}
        visitor.renaming = study.path.name
        title = entry_of(study, shipped=False).title
        return {self.name: title} | self.look(visitor, width)

    def close_renaming(self, visitor: Visitor, width: object) -> Update:
        """Keep the old name."""
        visitor.renaming = ""
        return self.look(visitor, width)

    def rename(self, name: object, shown: object, visitor: Visitor, width: object) -> Update:
        """Give the study that the page shows its new name."""
        try:
            study = require(self.config, shown, "rename")
            self.jobs.rename(study.path.name, name)
        except UserError as error:
            return {self.notice: notice(str(error))}
        visitor.renaming = ""
        return {self.notice: HIDDEN_NOTICE} | self.look(visitor, width)

    def bring_back(self, visitor: Visitor, width: object) -> Update:
        """Undo the last deletion."""
        try:
            Policy(self.config).require_tidy()
            visitor.study = self.jobs.undo()
        except UserError as error:
            return {self.notice: notice(str(error))} | self.look(visitor, width)
        return {self.notice: HIDDEN_NOTICE} | self.look(visitor, width)

    def _do(self, action: Action, study: StudyFolder, visitor: Visitor) -> str:
        jobs, name = self.jobs, study.path.name
        if action == "retry":
            visitor.study = jobs.retry(name)
        elif action == "delete":
            title = entry_of(study, shipped=False).title
            jobs.delete(name)
            visitor.study = ""
            return notice(f"‘{title}’ is deleted. For a day it can be brought back.", calm=True)
        elif action in ("pause", "resume", "cancel"):
            visitor.study = name  # stay with it, whatever the queue begins meanwhile
            {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel}[action](name)
        return HIDDEN_NOTICE

    def _looked(self, visitor: Visitor, width: object) -> tuple[str, list[Part]]:
        """The study that is shown closely, and all parts of the page."""
        entries = own_studies(self.config)
        entry = next((e for e in entries if e.id == visitor.study), next(iter(entries), None))
        shown = entry.id if entry else ""
        can = allowed(self.config, entry) if entry else frozenset[Action]()
        wrong = FAULTS.sentences()
        return shown, [
            _part(self.faults, notice(" ".join(wrong)) if wrong else HIDDEN_NOTICE),
            _part(self.list, runs_html(entries, shown, visitor.rows)),
            _part(self.more, gr.update(visible=len(entries) > visitor.rows)),
            _part(self.undo, self._undo()),
            *(_part(b, gr.update(interactive=action in can)) for action, b in self.buttons.items()),
            # Only where it changes: a late answer must not close what was opened meanwhile.
            _part(self.renaming, gr.update(visible=bool(shown) and visitor.renaming == shown)),
            *(
                self._closely(entry, entries, visitor, width)
                if entry
                else self._nothing(NOTHING_YET)
            ),
        ]

    def _closely(
        self, entry: StudyEntry, entries: list[StudyEntry], visitor: Visitor, width: object
    ) -> list[Part]:
        study, marks = StudyFolder(self.config.runs.resolve(entry.id)), visitor.marks
        try:
            mark, log = log_mark(study), None
            if marks.get(self.log.elem_id) != mark:  # else it is not read
                log = log_html(study)
            drawn = self.box.look(
                study, entries, visitor.curves, width, marks.get(self.curves.elem_id)
            )
            shown = card(study, entry)
        except UserError as error:
            return self._nothing(notice(str(error)))
        return [_part(self.card, shown), *drawn, (self.log, mark, log)]

    def _nothing(self, instead: str) -> list[Part]:
        return [_part(self.card, instead), *self.box.nothing(), _part(self.log, "")]

    def _undo(self) -> Any:
        deleted = self.jobs.trash.latest() if self.config.limits.tidy else None
        if deleted is None:
            return gr.update(visible=False)
        title = entry_of(deleted, shipped=False).title
        return gr.update(value=f"Undo: bring back ‘{title}’", visible=True)


def wire_runs_panel(panel: RunsPanel, page: gr.Blocks, tabs: gr.Tabs, compare: CompareTab) -> None:
    """Let the panel look at every poll, and do what is pressed."""

    def see(shown: object) -> list[Any]:
        try:
            study = require(panel.config, shown, "compare")
        except UserError as error:
            return [gr.skip(), gr.skip(), notice(str(error))]
        return [gr.update(selected="compare"), compare.refreshed(study.path.name), HIDDEN_NOTICE]

    looking, outputs, shown = panel.inputs, panel.outputs, panel.shown
    gr.Timer(POLL_SECONDS).tick(panel.look, looking, outputs, **QUIET)
    # A load event belongs to the page, so a refresh and a second tab begin with the truth.
    page.load(panel.arrive, looking, [panel.width, *outputs], js=WITH_WIDTH, **QUIET)
    panel.list.click(panel.pick, [shown, *looking], outputs, **QUIET).then(
        None, None, None, js=TO_THE_CARD, api_visibility="private"
    )
    for action in DIRECT:
        panel.buttons[action].click(
            partial(panel.press, action), [shown, *looking], outputs, **QUIET
        )
    panel.buttons["compare"].click(see, shown, [tabs, compare.study, panel.notice], **QUIET)
    panel.buttons["rename"].click(panel.open_renaming, [shown, *looking], outputs, **QUIET).then(
        None, None, None, js=TO_THE_NAME, api_visibility="private"
    )
    named = [panel.name, shown, *looking]
    gr.on([panel.save.click, panel.name.submit], panel.rename, named, outputs, **QUIET)
    panel.keep.click(panel.close_renaming, looking, outputs, **QUIET)
    chosen = [panel.box.show, panel.box.beside]
    for choice in chosen:
        choice.change(panel.choose_curves, [*chosen, *looking], outputs, **QUIET)
    panel.undo.click(panel.bring_back, looking, outputs, **QUIET)
    panel.more.click(panel.see_more, looking, outputs, **QUIET)


def _part(component: Any, value: Any) -> Part:
    return component, str(value), value
