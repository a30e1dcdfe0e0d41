"""Learning curves by epoch: validation accuracy, losses and their parts, throughput."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from dait.evidence.figures.layout import (
    empty_figure,
    finish,
    legend_below,
    panels,
    percent_axis,
    text,
)
from dait.evidence.palette import arm_colour, run_look

NAME = "learning-curves"
PANEL_HEIGHT = 280
GAP = 56

STUDENT_STAGE = "student"
"""A run's stage of any other name trains another network on the way to the student."""

STUDY_DASHES = ("solid", "dot", "dashdot", "longdash", "longdashdot")
"""Of several studies over each other; the first one's is an own study's."""

Row = Mapping[str, Any]
Runs = Mapping[str, Sequence[Row]]
Show = Literal["accuracy", "parts", "speed"]


@dataclass(frozen=True)
class _Panel:
    title: str
    value: Callable[[Row], Any]
    hover: str
    percent: bool = False


def learning_curves(runs: Runs, columns: int = 2, dark: bool | None = None) -> go.Figure:
    """Validation top-1 and training loss of several runs.

    runs: a run's name (an arm, or ``<arm>-s<seed>``) to the rows of its ``metrics.jsonl``. A stage
    that trains another network than the student is dashed. Losses of different arms have different
    terms and are not to be compared in height.
    """
    return study_curves({"": runs}, "accuracy", columns, dark)


def study_curves(
    studies: Mapping[str, Runs],
    show: Show = "accuracy",
    columns: int = 2,
    dark: bool | None = None,
) -> go.Figure:
    """Several studies over each other, by their titles; an arm has its colour in all of them.

    show: ``accuracy`` (validation top-1 and training loss), ``parts`` (a panel for each part of the
    losses, unweighted) or ``speed`` (training images a second). Of several studies each has lines
    of its own kind, and a stage that trains another network than the student thinner ones.
    """
    studies = {
        title: kept
        for title, runs in studies.items()
        if (kept := {name: rows for name, rows in runs.items() if rows})
    }
    every = [row for runs in studies.values() for rows in runs.values() for row in rows]
    shown = _panels(show, every)
    if not every:
        return empty_figure(NAME, "No epoch has finished yet.", dark)
    if not shown:
        return empty_figure(NAME, "These runs learn from the labels alone: one loss.", dark)
    titles = [panel.title for panel in shown]
    figure, cells, rows_of_panels, columns = panels(titles, columns, GAP, PANEL_HEIGHT)
    named: set[str] = set()
    for place, (title, runs) in enumerate(studies.items()):
        dash = STUDY_DASHES[place % len(STUDY_DASHES)] if len(studies) > 1 else None
        for name, rows in runs.items():
            stages = list(dict.fromkeys(str(row["stage"]) for row in rows))
            for stage in stages:
                own = [row for row in rows if str(row["stage"]) == stage]
                line = _Line(title, name, stage, dash)
                _add_line(figure, cells, shown, line, own, named)
    for panel, (row, column) in zip(shown, cells, strict=True):
        axis = percent_axis() if panel.percent else {"rangemode": "tozero"}
        figure.update_yaxes(axis, row=row, col=column)
    figure.update_xaxes(rangemode="tozero")
    figure.update_xaxes(title_text="epoch of the stage", row=rows_of_panels)
    height = rows_of_panels * PANEL_HEIGHT + (rows_of_panels - 1) * GAP + 110
    finish(figure, NAME if show == "accuracy" else f"{NAME}-{show}", height, dark)
    # Titles with a study in them are long.
    legend_below(figure, len(named), height, 1 if len(studies) > 1 else columns)
    return figure


def _panels(show: Show, rows: Sequence[Row]) -> list[_Panel]:
    if show == "accuracy":
        return [
            _Panel("Validation top-1", lambda row: row.get("val_top1"), "%{y:.2%}", percent=True),
            _Panel("Training loss", lambda row: row.get("loss"), "%{y:.4f}"),
        ]
    if show == "speed":
        speed = "Training images a second"
        return [_Panel(speed, lambda row: row.get("images_per_second"), "%{y:,.1f}")]
    names = list(dict.fromkeys(name for row in rows for name in row.get("parts") or {}))
    return [_part(name) for name in names]


def _part(name: str) -> _Panel:
    title = name.replace("_", " ").capitalize()
    return _Panel(title, lambda row: (row.get("parts") or {}).get(name), "%{y:.4f}")


@dataclass(frozen=True)
class _Line:
    """One stage of one run; ``dash``: its study's, None where it is the only one."""

    study: str
    run: str
    stage: str
    dash: str | None

    @property
    def others(self) -> bool:
        return self.stage != STUDENT_STAGE

    @property
    def title(self) -> str:
        title = run_look(self.run).title
        title = f"{title}: {self.stage}" if self.others else title
        return title if self.dash is None else f"{self.study} · {title}"

    @property
    def entry(self) -> str:
        """In the legend: the seeds of a study share one where there are several studies."""
        if self.dash is None:
            return self.title
        title = run_look(run_look(self.run).arm).title
        return f"{self.study} · {title}: {self.stage}" if self.others else f"{self.study} · {title}"

    @property
    def group(self) -> str:
        return f"{self.run}/{self.stage}" if self.dash is None else self.entry

    @property
    def look(self) -> dict[str, Any]:
        look = run_look(self.run)
        of_dait = self.others and look.arm == "dait"
        colour = arm_colour("intermediate") if of_dait else look.colour
        if self.dash is None:
            return {"color": colour, "width": 2, "dash": "dash" if self.others else "solid"}
        return {"color": colour, "width": 1.2 if self.others else 2.2, "dash": self.dash}


def _add_line(
    figure: go.Figure,
    cells: list[tuple[int, int]],
    shown: Sequence[_Panel],
    line: _Line,
    rows: Sequence[Row],
    named: set[str],
) -> None:
    """``named``: the entries that the legend has already."""
    title = text(line.title)
    epochs = [row["epoch"] for row in rows]
    for panel, (row, column) in zip(shown, cells, strict=True):
        values = [panel.value(each) for each in rows]
        if all(value is None for value in values):
            continue
        figure.add_scatter(
            x=epochs,
            y=values,
            name=text(line.entry),
            legendgroup=line.group,
            showlegend=line.entry not in named,
            mode="lines+markers" if len(rows) < 4 else "lines",
            line=line.look,
            hovertemplate=f"{title}<br>epoch %{{x}}: {panel.hover}<extra></extra>",
            row=row,
            col=column,
        )
        named.add(line.entry)
