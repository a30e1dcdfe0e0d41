"""The learning curves of the selected study, and of others for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from app.config import AppConfig
from app.queue.watch import curves, curves_mark
from app.studies.entries import StudyEntry, entry_of, open_study
from app.ui.plot import panel_columns, plot_box
from dait.errors import UserError
from dait.runs.folder import StudyFolder

SHOWS: dict[str, str] = {
    "accuracy": "Accuracy and loss",
    "parts": "Parts of the losses",
    "speed": "Speed",
}
MOST_BESIDE = 4
LONGEST_TITLE = 20
"""Characters of a study's title in the legend."""

Part = tuple[Any, str, Any]
"""A component, a mark that differs if its value has changed, and the value."""


class CurveSelection:
    """Which curves an open page shows, and of which other studies (ids)."""

    def __init__(self) -> None:
        self.show = "accuracy"
        self.beside: tuple[str, ...] = ()

    def choose(self, show: object, beside: object) -> None:
        """Set what came from a browser; unknown values are left out."""
        self.show = show if isinstance(show, str) and show in SHOWS else "accuracy"
        ids = beside if isinstance(beside, list) else []
        self.beside = tuple(str(study) for study in ids[:MOST_BESIDE])


class CurvesBox:
    """Two dropdowns and the figure below. They are hidden before the first epoch."""

    def __init__(self, config: AppConfig) -> None:
        self.config = config

    def lay_out(self) -> None:
        """Lay it out inside the current block."""
        with gr.Row(visible=False, elem_id="curves-choice") as self.row:
            self.show = gr.Dropdown(
                [(title, name) for name, title in SHOWS.items()],
                value="accuracy",
                label="Curves",
                filterable=False,
                min_width=150,
                scale=2,
                elem_id="curves-show",
            )
            self.beside = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                max_choices=MOST_BESIDE,
                label="Compare with",
                min_width=200,
                scale=3,
                elem_id="curves-beside",
            )
        self.plot = plot_box(
            "Learning curves of the runs so far", 390, visible=False, elem_id="curves"
        )

    @property
    def outputs(self) -> list[Any]:
        """All that ``parts`` and ``hidden_parts`` may change."""
        return [self.row, self.beside, self.plot]

    def parts(
        self,
        study: StudyFolder,
        entries: Sequence[StudyEntry],
        selection: CurveSelection,
        width: object,
        mark_before: str | None,
    ) -> list[Part]:
        """The current figure; not drawn again if ``mark_before`` is its mark.

        entries: all studies trained here. Raises ``UserError`` if the study is damaged.
        """
        shipped = [entry_of(other, shipped=True) for other in self.config.shipped.studies()]
        every = [*entries, *shipped]
        choices = [
            (f"{entry.title} ({entry.id})", entry.id)
            for entry in every
            if entry.id != study.path.name
            and entry.state not in ("damaged", "queued")
            and not entry.varies
        ]
        own = next(entry for entry in entries if entry.id == study.path.name)
        over = [study, *self._opened(selection, [name for _, name in choices])]
        mark = curves_mark(over, selection.show)
        figure = None
        if mark != mark_before:
            columns = min(2, panel_columns(width))
            titled = {_title(each.path.name, every): each for each in over}
            figure = curves(titled, selection.show, columns)
        listed = gr.update(choices=choices)
        shown = gr.update(value=figure, visible=figure is not None)
        return [
            (self.plot, mark, shown),
            (self.row, mark, gr.update(visible=figure is not None and not own.varies)),
            (self.beside, str(listed), listed),
        ]

    def hidden_parts(self) -> list[Part]:
        """The parts without a study, or with one that cannot be read."""
        hidden = gr.update(visible=False)
        gone = gr.update(value=None, visible=False)
        return [(self.plot, "", gone), (self.row, "", hidden)]

    def _opened(self, selection: CurveSelection, offered: Sequence[str]) -> list[StudyFolder]:
        found = []
        for name in selection.beside:
            if name not in offered:
                continue  # deleted meanwhile, or the selected study itself
            try:
                found.append(open_study(self.config, name))
            except UserError:
                continue  # deleted in this moment
        return found


def _title(name: str, entries: Sequence[StudyEntry]) -> str:
    """The title, with the end of the id where several studies have the same title."""
    title = next(entry.title for entry in entries if entry.id == name)
    short = title if len(title) <= LONGEST_TITLE else f"{title[:LONGEST_TITLE].rstrip()}…"
    alone = [entry.title for entry in entries].count(title) < 2
    return short if alone else f"{short} {name[-8:]}"
