"""Validation accuracy against the values of one setting."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dait.config.arms import arm_title
from dait.evidence.figures.layout import (
    empty_figure,
    finish,
    ink,
    legend_below,
    percent,
    percent_axis,
    text,
)
from dait.evidence.palette import arm_colour, with_opacity
from dait.runs.sweeps import SweepPoint

NAME, HEIGHT = "sweep", 340


def sweep_lines(points: Sequence[SweepPoint], key: str, dark: bool | None = None) -> go.Figure:
    """A line an arm: the mean over seeds at each value, and every seed a dot.

    points: in the order of the axis, which is one of categories: values are seldom evenly spaced.
    The recipe's own value is marked.
    """
    if not points:
        return empty_figure(NAME, "No value has been measured yet.", dark)
    figure = go.Figure()
    labels = {repr(point.value): _label(point) for point in points}
    for arm in dict.fromkeys(point.arm for point in points):
        own = [point for point in points if point.arm == arm]
        title, colour = text(arm_title(arm)), arm_colour(arm)
        figure.add_scatter(
            x=[_label(point) for point in own],
            y=[point.mean for point in own],
            mode="lines+markers",
            name=title,
            line={"color": colour, "width": 2},
            marker={"size": 9, "color": colour},
            hovertext=[f"{title}, {_label(point)}: {percent(point.mean)}" for point in own],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        seeds = [(point, top1) for point in own if len(point.top1) > 1 for top1 in point.top1]
        if seeds:
            figure.add_scatter(
                x=[_label(point) for point, _ in seeds],
                y=[top1 for _, top1 in seeds],
                mode="markers",
                marker={"size": 6, "color": with_opacity(colour, 0.5)},
                hovertemplate=f"{title}, one seed: %{{y:.1%}}<extra></extra>",
                showlegend=False,
            )
    figure.update_xaxes(
        type="category",
        title_text=text(key),
        categoryorder="array",
        categoryarray=list(labels.values()),
    )
    figure.update_yaxes(percent_axis(title_text="validation top-1"))
    finish(figure, NAME, HEIGHT, dark)
    figure.update_layout(font={"color": ink(dark)})
    legend_below(figure, len({point.arm for point in points}), HEIGHT)
    return figure


def _label(point: SweepPoint) -> str:
    value = f"{point.value:g}" if isinstance(point.value, float) else str(point.value)
    return f"{text(value)} (recipe)" if point.in_recipe else text(value)
