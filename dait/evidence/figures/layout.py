"""What all figures share: ink, grid, margins, panels, and the figure that has nothing to show."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

FONT_FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
GRID = "rgba(128, 128, 128, 0.25)"
TOP_MARGIN = 56
BOTTOM_MARGIN = 48


class Panels(NamedTuple):
    """An empty figure of side-by-side panels, and the (row, column) of each, from 1."""

    figure: go.Figure
    cells: list[tuple[int, int]]
    rows: int
    columns: int


def ink(dark: bool | None) -> str:
    """The colour of text: on a light page, a dark page, or a page whose theme is not known."""
    if dark is None:
        return "#808080"
    return "#D8DCE4" if dark else "#2B2F36"


def text(value: object) -> str:
    """A name from outside (a folder, a class) as plain text: Plotly reads some HTML."""
    return html.escape(str(value), quote=False)


def percent(fraction: float) -> str:
    """0.4237 → ``42.4 %``."""
    return f"{100 * fraction:.1f} %"


def finish(figure: go.Figure, name: str, height: int, dark: bool | None) -> go.Figure:
    """Give a figure the common look. ``name`` keeps its zoom apart from other figures'."""
    figure.update_layout(
        autosize=True,
        height=height,
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": ink(dark), "family": FONT_FAMILY, "size": 13},
        margin={"l": 56, "r": 16, "t": TOP_MARGIN, "b": BOTTOM_MARGIN},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yanchor": "top",
            "yref": "container",
            "bgcolor": "rgba(0, 0, 0, 0)",
        },
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(0, 0, 0, 0)", "color": GRID, "activecolor": ink(dark)},
        uirevision=name,
    )
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID, linecolor=GRID, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, linecolor=GRID, automargin=True)
    figure.update_annotations(font={"color": ink(dark), "size": 13})
    return figure


def legend_below(figure: go.Figure, entries: int, height: int, columns: int = 2) -> None:
    """Place a horizontal legend under the plot, with room for its rows.

    Plotly wraps a legend by the width it finds, which is not known here; panels stacked in one
    column mean a narrow screen.
    """
    rows = math.ceil(entries / (2 if columns == 1 else 4))
    figure.update_layout(
        height=height + 20 * rows,
        margin={"b": BOTTOM_MARGIN + 12 + 20 * rows},
        legend={"yanchor": "bottom"},
    )


def empty_figure(name: str, sentence: str, dark: bool | None = None) -> go.Figure:
    """A figure that says why there is nothing in it."""
    figure = go.Figure()
    figure.add_annotation(
        text=text(sentence), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return finish(figure, name, 220, dark)


def panels(titles: Sequence[str], columns: int, gap_pixels: int, panel_height: int) -> Panels:
    """Subplots titled ``titles``, at most ``columns`` a row (at least one), in even rows.

    gap_pixels: vertical room between rows, of ``panel_height`` pixels each. A last row with fewer
    panels stands in the middle.
    """
    rows = math.ceil(len(titles) / max(1, min(columns, len(titles))))
    columns = math.ceil(len(titles) / rows)
    total = rows * panel_height + (rows - 1) * gap_pixels
    padded = [text(title) for title in titles] + [""] * (rows * columns - len(titles))
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=padded,
        horizontal_spacing=0.04 if columns > 1 else 0.0,
        vertical_spacing=gap_pixels / total if rows > 1 else 0.0,
    )
    cells = [(index // columns + 1, index % columns + 1) for index in range(len(titles))]
    spare = rows * columns - len(titles)
    for place in range(columns - spare + 1, columns + 1):
        figure.update_xaxes(visible=False, row=rows, col=place)
        figure.update_yaxes(visible=False, row=rows, col=place)
    _centre_last_row(figure, cells, columns, spare)
    return Panels(figure, cells, rows, columns)


def _centre_last_row(
    figure: go.Figure, cells: Sequence[tuple[int, int]], columns: int, spare: int
) -> None:
    if not spare:
        return
    first, second = (figure.get_subplot(1, column).xaxis.domain for column in (1, 2))
    shift = (second[0] - first[0]) * spare / 2
    for place, (row, column) in enumerate(cells):
        if place < len(cells) + spare - columns:
            continue
        axis = figure.get_subplot(row, column).xaxis
        axis.domain = tuple(edge + shift for edge in axis.domain)
        figure.layout.annotations[place].x += shift


def axis_name(row: int, column: int, columns: int, letter: str) -> str:
    """Plotly's name of a panel's axis: ``x``, ``x2``, …"""
    index = (row - 1) * columns + column
    return letter if index == 1 else f"{letter}{index}"


def percent_axis(**settings: Any) -> dict[str, Any]:
    """Settings of an axis of fractions that is labelled in percent."""
    return {"tickformat": ".0%", "rangemode": "tozero", **settings}
