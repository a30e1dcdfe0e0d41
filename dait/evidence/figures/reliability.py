"""Reliability diagrams side by side: is an answer as likely to be right as the network says?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from dait.evaluation.metrics import Reliability
from dait.evidence.figures.layout import empty_figure, finish, ink, legend_below, panels, percent
from dait.evidence.palette import run_look, with_opacity

NAME = "reliability"
PANEL_HEIGHT = 300
GAP = 72
_GAP = "gap between confidence and accuracy"


def reliability_panels(
    found: Mapping[str, Reliability], columns: int = 3, dark: bool | None = None
) -> go.Figure:
    """A panel an arm: the accuracy of the answers in each bin of confidence, and the gap to it.

    found: an arm, or a run folder's name, to its bins (``evaluation.calibration``). A bar's top
    is the bin's accuracy; the hatched part reaches from there to its mean confidence: above the bar
    where the network is too sure, over it where it is too modest. On the dashed line both are
    alike. A bar's ``customdata`` is [bin from 0, answers].
    """
    if not found:
        return empty_figure(NAME, "There are no answers to look at yet.", dark)
    titles = [f"{run_look(arm).title}, ECE {percent(own.error)}" for arm, own in found.items()]
    figure, cells, rows, columns = panels(titles, columns, GAP, PANEL_HEIGHT)
    for place, ((row, column), (arm, own)) in enumerate(zip(cells, found.items(), strict=True)):
        for trace in _bars(own, run_look(arm).colour, ink(dark)):
            trace.showlegend = place == 0 and trace.name == _GAP
            figure.add_trace(trace, row=row, col=column)
    height = rows * PANEL_HEIGHT + (rows - 1) * GAP + 130
    figure.update_layout(barmode="overlay", bargap=0)
    finish(figure, NAME, height, dark)
    for place, (row, column) in enumerate(cells):
        lowest, leftmost = place + columns >= len(cells), column == 1
        shared = {"range": [0, 1], "tickformat": ".0%", "row": row, "col": column}
        figure.update_xaxes(
            title_text="confidence" if lowest else None, showticklabels=lowest, **shared
        )
        figure.update_yaxes(
            title_text="accuracy" if leftmost else None, showticklabels=leftmost, **shared
        )
    legend_below(figure, 1, height, columns)
    return figure


def _bars(found: Reliability, colour: str, ink_colour: str) -> list[go.Bar | go.Scatter]:
    """The accuracies, the gaps, and the line on which there is none."""
    bins = np.flatnonzero(found.count)
    width = 1 / len(found.count)
    count, accuracy, confidence = (
        part[bins].tolist() for part in (found.count, found.accuracy, found.confidence)
    )
    shared = {
        "x": ((bins + 0.5) * width).tolist(),
        "width": width,
        "customdata": [[index, own] for index, own in zip(bins.tolist(), count, strict=True)],
        "hovertext": [
            f"{percent(index * width)} to {percent((index + 1) * width)} sure: "
            f"{number:,} of {sum(count):,} answers<br>accuracy {percent(right)}"
            f"<br>mean confidence {percent(sure)}"
            for index, number, right, sure in zip(
                bins.tolist(), count, accuracy, confidence, strict=True
            )
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    right = go.Bar(
        y=accuracy,
        name="accuracy",
        marker={"color": colour, "line": {"width": 1, "color": ink_colour}},
        **shared,
    )
    gap = go.Bar(
        base=accuracy,
        y=[sure - own for own, sure in zip(accuracy, confidence, strict=True)],
        name=_GAP,
        marker={
            "color": with_opacity(ink_colour, 0.15),
            "line": {"width": 1, "color": ink_colour},
            "pattern": {"shape": "/", "fgcolor": ink_colour, "size": 5, "solidity": 0.25},
        },
        **shared,
    )
    alike = go.Scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="perfectly calibrated",
        line={"dash": "dash", "width": 1.5, "color": ink_colour},
        hoverinfo="skip",
    )
    return [right, gap, alike]
