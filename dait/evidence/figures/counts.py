"""Images per class and split: is anything missing, is anything lopsided?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dait.evidence.figures.layout import empty_figure, finish, legend_below, text
from dait.evidence.palette import SPLIT_COLOURS, SPLIT_TITLES

NAME = "counts"
HEIGHT = 300
MOST_NAMES = 42
"""With more classes than this the axis carries no names; the hover text does."""

Row = Mapping[str, Any]


def counts_bars(rows: Sequence[Row], dark: bool | None = None) -> go.Figure:
    """A bar for each class, its splits on top of one another.

    rows: ``name`` and, for every split, the number of images: ``train``, ``val``, ``test``.
    """
    if not rows:
        return empty_figure(NAME, "There are no classes to count.", dark)
    places = list(range(len(rows)))
    names = [text(row["name"]) for row in rows]
    figure = go.Figure()
    for split, colour in SPLIT_COLOURS.items():
        title = SPLIT_TITLES[split]
        figure.add_bar(
            x=places,
            y=[int(row[split]) for row in rows],
            name=title,
            marker={"color": colour, "line": {"width": 0}},
            customdata=names,
            hovertemplate=f"%{{customdata}}<br>{title}: %{{y}} images<extra></extra>",
        )
    # Places and not names are the axis: two classes may bear one name.
    named = len(rows) <= MOST_NAMES
    figure.update_xaxes(
        tickvals=places if named else [],
        ticktext=[text(_short(str(row["name"]))) for row in rows] if named else [],
        tickangle=-45 if len(rows) > 6 else 0,
        tickfont={"size": 11},
        title_text=None if named else f"{len(rows)} classes",
    )
    figure.update_yaxes(title_text="images", rangemode="tozero")
    figure.update_layout(barmode="stack", bargap=0.15 if len(rows) < 80 else 0, showlegend=True)
    height = HEIGHT + (90 if named and len(rows) > 6 else 0)
    finish(figure, NAME, height, dark)
    legend_below(figure, len(SPLIT_COLOURS), height)
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_layout(legend={"traceorder": "normal"}, margin={"t": 16})
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
