"""t-SNE maps side by side: the same images, colours and axes in every panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dait.config.arms import arm_title
from dait.evidence.figures.layout import (
    axis_name,
    empty_figure,
    finish,
    legend_below,
    panels,
    text,
)
from dait.evidence.palette import class_looks

NAME = "tsne"
PANEL_HEIGHT = 340
GAP = 48

MOST_LEGEND_ENTRIES = 12
MOST_SVG_POINTS = 6000
"""Beyond this many points in all panels together SVG gets slow and WebGL takes over."""


def tsne_panels(
    coordinates: Mapping[str, np.ndarray],
    labels: np.ndarray,
    class_names: Sequence[str],
    groups: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    columns: int = 3,
    dark: bool | None = None,
    indices: Sequence[int] | None = None,
) -> go.Figure:
    """One scatter panel per arm from ``(N, 2)`` coordinates of the same N images.

    labels: ``(N,)``; class_names: ``(C,)``; groups: ``(C,)`` coarse groups, which share a hue and
    become the legend; ids: ``(N,)`` image names for hover and clicks (``customdata`` is [image
    index, id, class name]); indices: ``(N,)`` image indices where they are not 0 to N - 1 (a sample
    of a split). Every map fills its panel, alike in both directions: a t-SNE map has no
    units and its size says nothing, so axes are unlabelled.
    Raises ``ValueError`` where the counts differ.
    """
    wrong = {arm: len(xy) for arm, xy in coordinates.items() if len(xy) != len(labels)}
    if wrong or any(own is not None and len(own) != len(labels) for own in (ids, indices)):
        raise ValueError(f"points {wrong}, ids or indices do not fit {len(labels)} labels")
    if not coordinates or not len(labels):
        return empty_figure(NAME, "There are no embeddings to show yet.", dark)
    figure, cells, rows, columns = panels(
        [arm_title(arm) for arm in coordinates], columns, GAP, PANEL_HEIGHT
    )
    sets = _legend_sets(np.asarray(labels), class_names, groups)
    looks = class_looks(len(class_names), groups)
    marks = [{"color": looks[label].colour, "symbol": looks[label].symbol} for label in labels]
    scatter = go.Scatter if len(coordinates) * len(labels) <= MOST_SVG_POINTS else go.Scattergl
    numbers = range(len(labels)) if indices is None else indices
    names = ids if ids is not None else [f"image {index}" for index in range(len(labels))]
    described = [
        [int(number), text(name), text(class_names[label])]
        for number, name, label in zip(numbers, names, labels, strict=True)
    ]
    for (row, column), placed in zip(cells, coordinates.values(), strict=True):
        xy = placed / max(float(np.abs(placed).max()), 1e-12)
        for title, members in sets.items():
            points = scatter(
                **_points(xy, members, marks, described),
                name=text(title),
                legendgroup=title,
                showlegend=len(sets) > 1 and (row, column) == cells[0],
            )
            figure.add_trace(points, row=row, col=column)
    _equal_axes(figure, cells, columns)
    height = rows * PANEL_HEIGHT + (rows - 1) * GAP + 116
    finish(figure, NAME, height, dark)
    if len(sets) > 1:
        legend_below(figure, len(sets), height, columns)
    return figure


def _points(
    xy: np.ndarray,
    members: np.ndarray,
    marks: Sequence[Mapping[str, str]],
    described: Sequence[Sequence[Any]],
) -> dict[str, Any]:
    """Some of the points ``(N, 2)``: where they are, how they look, what hovering says of them."""
    return {
        "x": xy[members, 0],
        "y": xy[members, 1],
        "mode": "markers",
        "marker": {
            "color": [marks[index]["color"] for index in members],
            "symbol": [marks[index]["symbol"] for index in members],
            "size": 7,
            "opacity": 0.8,
        },
        "customdata": [described[index] for index in members],
        "hovertemplate": "%{customdata[2]}<br>%{customdata[1]}<extra></extra>",
    }


def _legend_sets(
    labels: np.ndarray, class_names: Sequence[str], groups: Sequence[str] | None
) -> dict[str, np.ndarray]:
    """Legend titles to image indices: groups, else classes, else everything in one."""
    titles = np.asarray(groups if groups is not None else class_names, dtype=object)[labels]
    order = list(dict.fromkeys(groups if groups is not None else class_names))
    if len(order) > MOST_LEGEND_ENTRIES:
        return {"images": np.arange(len(labels))}
    sets = {title: np.flatnonzero(titles == title) for title in order}
    return {title: members for title, members in sets.items() if len(members)}


def _equal_axes(
    figure: go.Figure,
    cells: list[tuple[int, int]],
    columns: int,
) -> None:
    reach = 1.05  # the maps are scaled to one
    for row, column in cells:
        shared = {
            "range": [-reach, reach],
            "showticklabels": False,
            "showgrid": False,
            "zeroline": False,
            "showline": True,
            "mirror": True,
        }
        figure.update_xaxes(**shared, constrain="domain", row=row, col=column)
        figure.update_yaxes(
            **shared,
            scaleanchor=axis_name(row, column, columns, "x"),
            constrain="domain",
            row=row,
            col=column,
        )
