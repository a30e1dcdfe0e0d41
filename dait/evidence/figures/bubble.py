"""Parameters × accuracy × latency (the paper's Fig. 4): what does an accuracy cost?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dait.config.arms import arm_title
from dait.evidence.figures.bars import teacher_rows
from dait.evidence.figures.layout import (
    empty_figure,
    finish,
    ink,
    legend_below,
    percent_axis,
    text,
)
from dait.evidence.palette import arm_colour, with_opacity

NAME = "bubble"
SMALLEST, LARGEST = 14.0, 54.0
TEACHER_SYMBOLS = {"intermediate": "diamond", "classifier": "square", "assistant": "square"}

Row = Mapping[str, Any]


def bubble_rows(results: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows for ``bubble`` from ``result.json`` mappings: every student, then what taught them."""
    keys = ("arm", "seed", "parameters", "top1", "latency_ms")
    rows = [{key: result.get(key) for key in keys} for result in results]
    taught = ("arm", "seed", "network", "parameters", "top1", "latency_ms")
    return rows + [{key: row.get(key) for key in taught} for row in teacher_rows(results)]


def bubble(rows: Sequence[Row], dark: bool | None = None) -> go.Figure:
    """Test top-1 over the number of parameters; the bubble's area is the latency.

    rows: ``arm``, ``parameters``, ``top1`` (fraction), ``latency_ms`` (median at batch 1; the
    smallest bubble where it is not known), and ``seed`` and ``network`` where known. What taught a
    student has a ring: the arm ``intermediate`` is a diamond, any other a square.
    """
    rows = [row for row in rows if row.get("parameters") and row.get("top1") is not None]
    if not rows:
        return empty_figure(NAME, "No run has been evaluated yet.", dark)
    slowest = max((row.get("latency_ms") or 0.0 for row in rows), default=0.0)
    figure = go.Figure()
    for arm in dict.fromkeys(str(row["arm"]) for row in rows):
        own = [row for row in rows if str(row["arm"]) == arm]
        marked = arm in TEACHER_SYMBOLS
        figure.add_scatter(
            x=[row["parameters"] for row in own],
            y=[row["top1"] for row in own],
            name=text(arm_title(arm)),
            mode="markers",
            marker={
                "color": with_opacity(arm_colour(arm), 0.7),
                "symbol": TEACHER_SYMBOLS.get(arm, "circle"),
                "size": [_diameter(row.get("latency_ms"), slowest) for row in own],
                "line": {
                    "width": 3 if marked else 1,
                    "color": ink(dark) if marked else arm_colour(arm),
                },
                "opacity": 1,
            },
            text=[_hover(row) for row in own],
            hovertemplate="%{text}<extra></extra>",
        )
    ticks = _round_counts([row["parameters"] for row in rows])
    figure.update_xaxes(
        type="log",
        title_text="parameters",
        tickvals=ticks,
        ticktext=[_short_count(tick) for tick in ticks],
    )
    figure.update_yaxes(percent_axis(title_text="test top-1", rangemode="normal"))
    figure.update_layout(showlegend=True, legend={"itemsizing": "constant"})
    finish(figure, NAME, 420, dark)
    legend_below(figure, len(figure.data), 420)
    if slowest:
        _say_what_size_means(figure, slowest)
    return figure


def _diameter(latency_ms: float | None, slowest: float) -> float:
    if not latency_ms:
        return SMALLEST
    return max(SMALLEST, LARGEST * math.sqrt(latency_ms / slowest))


def _round_counts(parameters: Sequence[int]) -> list[float]:
    """1, 2 and 5 times the powers of ten around the counts."""
    low = math.floor(math.log10(min(parameters)))
    high = math.ceil(math.log10(max(parameters)))
    return [digit * 10.0**power for power in range(low, high + 1) for digit in (1, 2, 5)]


def _short_count(count: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:g} {letter}"
    return f"{count:g}"


def _hover(row: Row) -> str:
    lines = [f"<b>{text(arm_title(str(row['arm'])))}</b>"]
    if row.get("seed") is not None:
        lines[0] += f", seed {row['seed']}"
    if row.get("network"):
        lines.append(text(row["network"]))
    lines.append(f"top-1 {row['top1']:.2%}")
    lines.append(f"{row['parameters']:,} parameters")
    if row.get("latency_ms"):
        lines.append(f"{row['latency_ms']:.1f} ms an image")
    return "<br>".join(lines)


def _say_what_size_means(figure: go.Figure, slowest: float) -> None:
    figure.add_annotation(
        text=f"bubble area: latency, the largest is {slowest:.1f} ms an image",
        x=0,
        y=1,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        yshift=8,
        showarrow=False,
    )
