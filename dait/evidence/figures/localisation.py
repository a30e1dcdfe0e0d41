"""Bars: how much of their heatmaps the arms put on the object, beside what chance would."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import plotly.graph_objects as go

from dait.evaluation.results.localisation import ArmLocalisation, MeanInterval, Measurement
from dait.evidence.figures.layout import (
    Panels,
    empty_figure,
    finish,
    ink,
    panels,
    percent,
    percent_axis,
    text,
)
from dait.evidence.palette import arm_colour

NAME = "localisation"
_PANEL, _GAP = 240, 100
_TITLES = {"mass": "Relevance on the object", "part_mass": "Relevance on its distinguishing parts"}


def localisation_bars(
    found: Measurement | None, dark: bool | None = None, columns: int = 2
) -> go.Figure:
    """A bar an arm with its 95 % interval, each seed a dot; the area share is a dashed line.

    One panel for the object and, where its parts are known, one for those that tell it from its
    relatives. The area share is what a map that is the same everywhere would score. None where
    nothing was measured.
    """
    shown = [
        name
        for name in _TITLES
        if found is not None and any(name in arm.estimates for arm in found.arms)
    ]
    if found is None or not shown:
        return empty_figure(NAME, "Where the networks look was not measured.", dark)
    grid = panels([_TITLES[name] for name in shown], columns, _GAP, _PANEL)
    for name, (row, column) in zip(shown, grid.cells, strict=True):
        arms = [arm for arm in found.arms if name in arm.estimates]
        for arm in arms:
            _add_bar(grid, (row, column), arm, name, ink(dark))
        area = found.area if name == "mass" else found.part_area
        if area is not None:
            _add_area(grid, (row, column), [_wrapped(arm.title) for arm in arms], area, ink(dark))
    grid.figure.update_yaxes(percent_axis())
    grid.figure.update_xaxes(tickangle=0, tickfont={"size": 11})
    grid.figure.update_layout(showlegend=False, bargap=0.35)
    height = grid.rows * _PANEL + (grid.rows - 1) * _GAP + 110
    return finish(grid.figure, NAME, height, dark)


def _add_bar(
    grid: Panels, cell: tuple[int, int], arm: ArmLocalisation, name: str, ink_colour: str
) -> None:
    estimate, title = arm.estimates[name], text(arm.title)
    row, column = cell
    interval = f"95 % interval {percent(estimate.low)} to {percent(estimate.high)}"
    grid.figure.add_bar(
        x=[_wrapped(arm.title)],
        y=[estimate.value],
        marker={"color": arm_colour(arm.role)},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [estimate.high - estimate.value],
            "arrayminus": [estimate.value - estimate.low],
            "color": ink_colour,
            "thickness": 1.5,
        },
        hovertemplate=f"{title}<br>{percent(estimate.value)} ({interval})<br>"
        f"{estimate.count:,} images, {text(arm.method)}<extra></extra>",
        row=row,
        col=column,
    )
    seeds = [value for value in arm.by_seed[name] if value is not None]
    if len(seeds) > 1:
        grid.figure.add_scatter(
            x=[_wrapped(arm.title)] * len(seeds),
            y=seeds,
            mode="markers",
            marker={"color": ink_colour, "size": 6, "symbol": "line-ew-open"},
            hovertemplate=f"{title}<br>one seed: %{{y:.2%}}<extra></extra>",
            row=row,
            col=column,
        )


def _add_area(
    grid: Panels, cell: tuple[int, int], names: Sequence[str], area: MeanInterval, ink_colour: str
) -> None:
    row, column = cell
    grid.figure.add_hline(
        y=area.value,
        line={"dash": "dash", "width": 1.5, "color": ink_colour},
        row=row,
        col=column,
    )
    # A line drawn across has no hover text; invisible points on it do.
    grid.figure.add_scatter(
        x=list(names),
        y=[area.value] * len(names),
        mode="markers",
        opacity=0,
        hovertemplate=f"share of the image: {percent(area.value)}<extra></extra>",
        row=row,
        col=column,
    )


def _wrapped(title: str) -> str:
    return "<br>".join(text(line) for line in wrap(title, 12)) or " "
