"""Similarity matrices side by side: one order, one colour scale, one bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from dait.config.arms import arm_title
from dait.evidence.figures.layout import empty_figure, finish, ink, panels, text
from dait.evidence.figures.squares import COLOUR_SCALE, bar_below, order_by_group, square_axes

NAME = "similarity"
PANEL_HEIGHT = 340
GAP = 48


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
    smallest similarity in any panel to 1, the same for all; NaN stays empty. A cell's
    ``customdata`` is [name of the row's class, of the column's, their indices].
    Raises ``ValueError`` where the shapes do not fit.
    """
    count = len(class_names)
    wrong = {arm: m.shape for arm, m in matrices.items() if m.shape != (count, count)}
    if wrong or (groups is not None and len(groups) != count):
        raise ValueError(f"matrices {wrong} or groups do not fit {count} classes")
    if not matrices or not any(np.isfinite(matrix).any() for matrix in matrices.values()):
        return empty_figure(NAME, "There are no similarities to show yet.", dark)
    order = order_by_group(count, groups)
    figure, cells, rows, columns = panels(
        [arm_title(arm) for arm in matrices], columns, GAP, PANEL_HEIGHT
    )
    names = [text(class_names[index]) for index in order]
    cells_of = [
        [[one, other, order[y], order[x]] for x, other in enumerate(names)]
        for y, one in enumerate(names)
    ]
    for (row, column), matrix in zip(cells, matrices.values(), strict=True):
        figure.add_heatmap(
            z=np.round(np.asarray(matrix, dtype=np.float64)[np.ix_(order, order)], 4),
            customdata=cells_of,
            coloraxis="coloraxis",
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>%{z:.3f}<extra></extra>",
            row=row,
            col=column,
        )
    height = rows * PANEL_HEIGHT + (rows - 1) * GAP + 130
    finish(figure, NAME, height, dark)
    square_axes(figure, cells, columns, order, groups, ink(dark))
    lowest = min(float(np.nanmin(m)) for m in matrices.values() if np.isfinite(m).any())
    figure.update_layout(
        coloraxis={
            "colorscale": COLOUR_SCALE,
            "cmin": lowest,
            "cmax": 1.0,
            "colorbar": bar_below("cosine similarity"),
        },
        margin={"b": 96},
    )
    return figure
