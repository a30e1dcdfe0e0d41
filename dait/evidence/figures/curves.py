"""Learning curves: validation accuracy and training loss by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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

Row = Mapping[str, Any]


def learning_curves(
    runs: Mapping[str, Sequence[Row]], columns: int = 2, dark: bool | None = None
) -> go.Figure:
    """Validation top-1 and training loss of several runs.

    runs: a run's name (an arm, or ``<arm>-s<seed>``) to the rows of its ``metrics.jsonl``. A stage
    that trains another network than the student is dashed. Losses of different arms have different
    terms and are not to be compared in height.
    """
    runs = {name: rows for name, rows in runs.items() if rows}
    if not runs:
        return empty_figure(NAME, "No epoch has finished yet.", dark)
    figure, cells, rows_of_panels, columns = panels(
        ("Validation top-1", "Training loss"), columns, GAP, PANEL_HEIGHT
    )
    entries = 0
    for name, rows in runs.items():
        stages = list(dict.fromkeys(str(row["stage"]) for row in rows))
        for stage in stages:
            own = [row for row in rows if str(row["stage"]) == stage]
            _add_stage(figure, cells, name, stage, own)
            entries += 1
    figure.update_yaxes(percent_axis(), row=cells[0][0], col=cells[0][1])
    figure.update_yaxes(rangemode="tozero", row=cells[1][0], col=cells[1][1])
    figure.update_xaxes(rangemode="tozero")
    figure.update_xaxes(title_text="epoch of the stage", row=rows_of_panels)
    height = rows_of_panels * PANEL_HEIGHT + (rows_of_panels - 1) * GAP + 110
    finish(figure, NAME, height, dark)
    legend_below(figure, entries, height, columns)
    return figure


def _add_stage(
    figure: go.Figure,
    cells: list[tuple[int, int]],
    name: str,
    stage: str,
    rows: Sequence[Row],
) -> None:
    look = run_look(name)
    other_network = stage != STUDENT_STAGE
    of_dait = other_network and look.arm == "dait"
    colour = arm_colour("intermediate") if of_dait else look.colour
    title = f"{look.title}: {stage}" if other_network else look.title
    epochs = [row["epoch"] for row in rows]
    for (row, column), key, shown in (
        (cells[0], "val_top1", "%{y:.2%}"),
        (cells[1], "loss", "%{y:.4f}"),
    ):
        figure.add_scatter(
            x=epochs,
            y=[values.get(key) for values in rows],
            name=text(title),
            legendgroup=f"{name}/{stage}",
            showlegend=key == "val_top1",
            mode="lines+markers" if len(rows) < 4 else "lines",
            line={"color": colour, "width": 2, "dash": "dash" if other_network else "solid"},
            hovertemplate=f"{text(title)}<br>epoch %{{x}}: {shown}<extra></extra>",
            row=row,
            col=column,
        )
