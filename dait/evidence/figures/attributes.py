"""Bars: how often a teacher names an attribute by words alone, with chance marked."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dait.evaluation.results.probes import AttributeFigures, AttributeScore
from dait.evidence.figures.layout import (
    empty_figure,
    finish,
    ink,
    legend_below,
    percent,
    percent_axis,
    text,
)
from dait.evidence.palette import ARM_COLOURS, with_opacity

_ROW_PIXELS = 34
_SPECIES, _BIRDS = "the species at test", "new birds"


def attribute_bars(
    rows: Sequence[AttributeFigures] | None, dark: bool | None = None, columns: int = 2
) -> go.Figure:
    """Two bars an attribute, with their 95 % intervals, and a tick where chance is.

    rows: as measured, drawn from top to bottom; None or empty where nothing was.
    """
    if not rows:
        return empty_figure("attributes", "No attribute was measured.", dark)
    figure = go.Figure()
    names = [text(row.name) for row in rows]
    colour = ARM_COLOURS["vlm"]
    # Drawn from below: what is added last comes on top of its pair.
    for title, fill, scores in (
        (_BIRDS, with_opacity(colour, 0.45), [row.birds for row in rows]),
        (_SPECIES, colour, [row.species for row in rows]),
    ):
        _add_bars(figure, title, fill, names, scores, ink(dark))
    figure.add_scatter(
        x=[row.chance for row in rows],
        y=names,
        mode="markers",
        name="chance",
        marker={
            "symbol": "line-ns-open",
            "size": 22,
            "color": ARM_COLOURS["dait"],
            "line": {"width": 2.5},
        },
        hovertemplate="%{y}: chance %{x:.1%}<extra></extra>",
    )
    figure.update_xaxes(percent_axis(range=[0, 1.02]))
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_layout(barmode="group", bargap=0.28, bargroupgap=0.05)
    figure.update_layout(legend={"traceorder": "reversed"})
    height = _ROW_PIXELS * len(rows) + 70
    finish(figure, "attributes", height, dark)
    legend_below(figure, 3, height, columns)
    figure.update_layout(margin={"t": 12})
    return figure


def _add_bars(
    figure: go.Figure,
    title: str,
    colour: str,
    names: Sequence[str],
    scores: Sequence[AttributeScore],
    ink_colour: str,
) -> None:
    shares = [score.accuracy for score in scores]
    figure.add_bar(
        orientation="h",
        x=[share.value for share in shares],
        y=names,
        name=title,
        marker={"color": colour},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [share.high - share.value for share in shares],
            "arrayminus": [share.value - share.low for share in shares],
            "color": ink_colour,
            "thickness": 1.2,
            "width": 2,
        },
        customdata=[
            f"{percent(score.accuracy.low)} to {percent(score.accuracy.high)} "
            f"on {score.accuracy.count:,} images<br>most common value {percent(score.majority)}"
            for score in scores
        ],
        hovertemplate=f"%{{y}}, {title}: %{{x:.1%}}<br>%{{customdata}}<extra></extra>",
    )
