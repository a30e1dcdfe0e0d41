"""What square matrices of classes share: order, ticks, lines between groups, a colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.colors
import plotly.graph_objects as go

from dait.evidence.figures.layout import axis_name, text

COLOUR_SCALE = "Cividis"
"""Perceptually uniform and made for colour-blind readers."""
COLOURS: list[str] = plotly.colors.sequential.Cividis
"""The colours of that scale, evenly spaced."""

MOST_GROUP_TICKS = 12


def bar_below(title: str, tickformat: str = ".2f") -> dict[str, Any]:
    """Settings of a horizontal colour bar under the figure."""
    return {
        "orientation": "h",
        "title": {"text": title, "side": "bottom"},
        "thickness": 12,
        "len": 0.6,
        "x": 0.5,
        "xanchor": "center",
        "y": 0.0,
        "yanchor": "bottom",
        "yref": "container",
        "outlinewidth": 0,
        "tickformat": tickformat,
    }


def order_by_group(count: int, groups: Sequence[str] | None) -> list[int]:
    """The classes with those of a group together, groups in their order of appearance."""
    if groups is None:
        return list(range(count))
    rank = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    return sorted(range(count), key=lambda index: rank[groups[index]])


def square_axes(
    figure: go.Figure,
    cells: list[tuple[int, int]],
    columns: int,
    order: list[int],
    groups: Sequence[str] | None,
    line_colour: str,
) -> None:
    """Square panels with the groups named at their left and lower edges, and lines between them.

    order: of ``order_by_group``; groups: the group of every class, None for no ticks and lines.
    """
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
    lines = list[dict[str, Any]]()
    for row, column in cells:
        where = {"row": row, "col": column}
        lowest_panel = row == cells[-1][0]
        figure.update_xaxes(
            showgrid=False,
            zeroline=False,
            constrain="domain",
            tickangle=-45,
            **(ticks if lowest_panel else hidden),
            **where,
        )
        figure.update_yaxes(
            showgrid=False,
            zeroline=False,
            autorange="reversed",
            scaleanchor=axis_name(row, column, columns, "x"),
            constrain="domain",
            **(ticks if column == 1 else hidden),
            **where,
        )
        x, y = (axis_name(row, column, columns, letter) for letter in "xy")
        for bound in bounds:
            lines.append(
                {"x0": bound, "x1": bound, "xref": x, "y0": 0, "y1": 1, "yref": f"{y} domain"}
            )
            lines.append(
                {"x0": 0, "x1": 1, "xref": f"{x} domain", "y0": bound, "y1": bound, "yref": y}
            )
    # All at once: Plotly reads every shape again for each one that is added.
    style = {"type": "line", "line": {"width": 0.6, "color": line_colour}}
    figure.update_layout(shapes=[style | line for line in lines])


def _group_spans(order: list[int], groups: Sequence[str] | None) -> dict[str, tuple[int, int]]:
    """Each group's first and last place in the order."""
    if groups is None:
        return {}
    spans: dict[str, tuple[int, int]] = {}
    for place, index in enumerate(order):
        start, _ = spans.get(groups[index], (place, place))
        spans[groups[index]] = (start, place)
    return spans
