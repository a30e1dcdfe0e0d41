"""Similarity matrices side by side: one order, one colour scale, one bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dait.evidence.figures.layout import (
    axis_name,
    empty_figure,
    finish,
    ink,
    panels,
    text,
)
from dait.evidence.palette import arm_title

NAME = "similarity"
PANEL_HEIGHT = 340
GAP = 48

COLOUR_SCALE = "Cividis"
"""Perceptually uniform and made for colour-blind readers."""

MOST_GROUP_TICKS = 12


def similarity_panels(
    matrices: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    groups: Sequence[str] | None = None,
    columns: int = 3,
    dark: bool | None = None,
) -> go.Figure:
    """One heatmap panel per arm from ``(C, C)`` cosine similarities.

    class_names: ``(C,)``; groups: ``(C,)`` coarse groups; classes of a group are put together,
    groups in their order of appearance, with a line between two groups. The scale runs from the
    smallest similarity in any panel to 1, the same for all; NaN stays empty.
    Raises ``ValueError`` where the shapes do not fit.
    """
    count = len(class_names)
    wrong = {arm: m.shape for arm, m in matrices.items() if m.shape != (count, count)}
    if wrong or (groups is not None and len(groups) != count):
        raise ValueError(f"matrices {wrong} or groups do not fit {count} classes")
    if not matrices or not any(np.isfinite(matrix).any() for matrix in matrices.values()):
        return empty_figure(NAME, "There are no similarities to show yet.", dark)
    order = _order_by_group(count, groups)
    figure, cells, rows, columns = panels(
        [arm_title(arm) for arm in matrices], columns, GAP, PANEL_HEIGHT
    )
    names = [text(class_names[index]) for index in order]
    for (row, column), matrix in zip(cells, matrices.values(), strict=True):
        figure.add_heatmap(
            z=np.round(np.asarray(matrix, dtype=np.float64)[np.ix_(order, order)], 4),
            customdata=[[[one, other] for other in names] for one in names],
            coloraxis="coloraxis",
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>%{z:.3f}<extra></extra>",
            row=row,
            col=column,
        )
    height = rows * PANEL_HEIGHT + (rows - 1) * GAP + 130
    finish(figure, NAME, height, dark)
    _square_axes(figure, cells, columns, order, groups, ink(dark))
    lowest = min(float(np.nanmin(m)) for m in matrices.values() if np.isfinite(m).any())
    figure.update_layout(
        coloraxis={
            "colorscale": COLOUR_SCALE,
            "cmin": lowest,
            "cmax": 1.0,
            "colorbar": _bar_below(),
        },
        margin={"b": 96},
    )
    return figure


def _bar_below() -> dict[str, Any]:
    return {
        "orientation": "h",
        "title": {"text": "cosine similarity", "side": "bottom"},
        "thickness": 12,
        "len": 0.6,
        "x": 0.5,
        "xanchor": "center",
        "y": 0.0,
        "yanchor": "bottom",
        "yref": "container",
        "outlinewidth": 0,
        "tickformat": ".2f",
    }


def _order_by_group(count: int, groups: Sequence[str] | None) -> list[int]:
    if groups is None:
        return list(range(count))
    rank = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    return sorted(range(count), key=lambda index: rank[groups[index]])


def _square_axes(
    figure: go.Figure,
    cells: list[tuple[int, int]],
    columns: int,
    order: list[int],
    groups: Sequence[str] | None,
    line_colour: str,
) -> None:
    spans = _group_spans(order, groups)
    ticks: dict[str, Any] = {"showticklabels": False}
    if 1 < len(spans) <= MOST_GROUP_TICKS:
        ticks = {
            "tickvals": [(start + end) / 2 for start, end in spans.values()],
            "ticktext": [text(group) for group in spans],
            "showticklabels": True,
            "tickfont": {"size": 11},
        }
    bounds = [start - 0.5 for start, _ in spans.values() if start > 0]
    hidden = {"showticklabels": False}
    for place, (row, column) in enumerate(cells):
        where = {"row": row, "col": column}
        lowest_panel = place + columns >= len(cells)
        figure.update_xaxes(
            showgrid=False,
            constrain="domain",
            tickangle=-45,
            **(ticks if lowest_panel else hidden),
            **where,
        )
        figure.update_yaxes(
            showgrid=False,
            autorange="reversed",
            scaleanchor=axis_name(row, column, columns, "x"),
            constrain="domain",
            **(ticks if column == 1 else hidden),
            **where,
        )
        for bound in bounds:
            line = {"width": 0.6, "color": line_colour}
            figure.add_vline(x=bound, line=line, **where)
            figure.add_hline(y=bound, line=line, **where)


def _group_spans(order: list[int], groups: Sequence[str] | None) -> dict[str, tuple[int, int]]:
    """Each group's first and last place in the order."""
    if groups is None:
        return {}
    spans: dict[str, tuple[int, int]] = {}
    for place, index in enumerate(order):
        start, _ = spans.get(groups[index], (place, place))
        spans[groups[index]] = (start, place)
    return spans
