"""Confusion matrices side by side: class by class, or by coarse group where classes are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dait.evaluation.confusion import grouped_confusion
from dait.evidence.figures.layout import empty_figure, finish, ink, panels, percent, text
from dait.evidence.figures.squares import COLOURS, bar_below, order_by_group, square_axes
from dait.evidence.palette import run_look

NAME = "confusion"
PANEL_HEIGHT = 400
GAP = 72
MOST_CLASSES = 60
"""With more classes than this a cell is too small to point at, and groups stand for them."""
MOST_NAMES = 20
"""With more rows than this their names do not fit beside them; the hover text has them."""

# Most of the colours are for small shares: an error of a tenth should show beside a diagonal. The
# darkest would not show on a dark page.
_SHOWN = COLOURS[2:]
_SCALE = [[(place / (len(_SHOWN) - 1)) ** 2, colour] for place, colour in enumerate(_SHOWN)]


def confusion_panels(
    matrices: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    groups: Sequence[str] | None = None,
    by_group: bool | None = None,
    columns: int = 2,
    dark: bool | None = None,
) -> go.Figure:
    """A panel an arm: rows are what is shown, columns what it is taken for.

    matrices: an arm, or a run folder's name, to its ``(C, C)`` counts
    (``dait.evaluation.confusion``); class_names: ``(C,)``; groups: ``(C,)`` coarse groups, whose
    classes are put together, with a line between two groups. by_group: a cell is a pair of groups
    instead of classes; None decides by the number of classes.
    Colour is the share of the row, the same scale in every panel, and tells small shares well
    apart; cells without images stay empty. A cell's ``customdata`` is [row, column, count, images
    of the row]: row and column are class indices, or places of groups in their order of appearance,
    and ``layout.meta`` says which ("class" or "group").
    Raises ``ValueError`` where the shapes do not fit.
    """
    count = len(class_names)
    wrong = {arm: m.shape for arm, m in matrices.items() if m.shape != (count, count)}
    if wrong or (groups is not None and len(groups) != count):
        raise ValueError(f"matrices {wrong} or groups do not fit {count} classes")
    if not any(matrix.sum() for matrix in matrices.values()):
        return empty_figure(NAME, "There are no answers to look at yet.", dark)
    unit, names, lines = "class", list(class_names), groups
    wanted = count > MOST_CLASSES if by_group is None else by_group
    if wanted and groups is not None and len(set(groups)) > 1:
        matrices = {arm: grouped_confusion(m, groups)[1] for arm, m in matrices.items()}
        unit, names, lines = "group", list(dict.fromkeys(groups)), None
    order = order_by_group(len(names), lines)
    titles = [run_look(arm).title for arm in matrices]
    figure, cells, rows, columns = panels(titles, columns, GAP, PANEL_HEIGHT)
    for (row, column), matrix in zip(cells, matrices.values(), strict=True):
        figure.add_heatmap(**_heatmap(matrix, names, order), row=row, col=column)
    finish(figure, NAME, rows * PANEL_HEIGHT + (rows - 1) * GAP + 190, dark)
    square_axes(figure, cells, columns, order, lines, ink(dark))
    _name_axes(figure, cells, columns, [text(names[index]) for index in order], lines is None)
    figure.update_layout(
        meta=unit,
        coloraxis={
            "colorscale": _SCALE,
            "cmin": 0,
            "cmax": 1,
            "colorbar": bar_below("share of what is shown", ".0%"),
        },
        margin={"b": 150},
    )
    return figure


def _heatmap(matrix: np.ndarray, names: Sequence[str], order: list[int]) -> dict[str, Any]:
    of_row = matrix.sum(axis=1)
    shape = (len(order), len(order))
    share = np.full(shape, np.nan)
    described, data = np.full(shape, "", dtype=object), np.full(shape, None, dtype=object)
    for y, row in enumerate(order):
        for x, column in enumerate(order):
            found = int(matrix[row, column])
            if found:
                share[y, x] = found / of_row[row]
                data[y, x] = [row, column, found, int(of_row[row])]
                described[y, x] = _words(names, row, column, found, int(of_row[row]))
    return {
        "z": share,
        "text": described.tolist(),
        "customdata": data.tolist(),
        "coloraxis": "coloraxis",
        "hoverongaps": False,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _words(names: Sequence[str], row: int, column: int, found: int, images: int) -> str:
    verdict = "named right" if row == column else f"taken for<br>{text(names[column])}"
    return f"{text(names[row])}<br>{verdict}: {found:,} of {images:,} ({percent(found / images)})"


def _name_axes(
    figure: go.Figure,
    cells: list[tuple[int, int]],
    columns: int,
    names: list[str],
    one_by_one: bool,
) -> None:
    """Say what rows and columns are, and name each where there is room and no group is named."""
    ticks: dict[str, Any] = {}
    if one_by_one and len(names) <= MOST_NAMES:
        ticks = {
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "tickfont": {"size": 11},
            "showticklabels": True,
        }
    for place, (row, column) in enumerate(cells):
        lowest, leftmost = place + columns >= len(cells), column == 1
        below = {**ticks, "showticklabels": True} if lowest and ticks else {}
        beside = {**ticks, "showticklabels": True} if leftmost and ticks else {}
        figure.update_xaxes(
            title_text="taken for" if lowest else None, row=row, col=column, **below
        )
        figure.update_yaxes(title_text="shown" if leftmost else None, row=row, col=column, **beside)
