"""Bars: test accuracy per arm with its uncertainty, and accuracy on parts of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import mean, stdev
from textwrap import wrap
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dait.config.arms import arm_title
from dait.evidence.figures.layout import (
    empty_figure,
    finish,
    ink,
    legend_below,
    percent,
    percent_axis,
    text,
)
from dait.evidence.palette import arm_colour

Row = Mapping[str, Any]


class _Bar(NamedTuple):
    title: str
    colour: str
    height: float
    below: float
    above: float
    hover: str
    seeds: list[float]


def teacher_rows(results: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows for ``accuracy_bars`` of the networks that taught the students of ``results``.

    results: ``result.json`` mappings; a row's ``arm`` is the network's role.
    """
    rows = []
    for result in results:
        # Results of earlier versions name the intermediate teacher alone.
        between = result.get("between") or {"intermediate": result.get("intermediate")}
        for role, found in between.items():
            if found:
                own = {key: value for key, value in found.items() if key != "title"}
                rows.append({**own, "arm": role, "seed": result.get("seed")})
    return rows


def accuracy_bars(
    rows: Sequence[Row],
    references: Mapping[str, float] | None = None,
    dark: bool | None = None,
    split: str = "test",
) -> go.Figure:
    """Top-1 on a split, a bar for each arm.

    rows: ``result.json`` mappings (``arm``, ``top1``, and ``top1_interval``, ``seed``, ``title``
    where known). Rows of one title are seeds of one bar: its height is their mean and its whisker
    their standard deviation, each seed a dot; with one seed the whisker is the 95 % interval.
    ``title`` replaces the arm's in sweeps, where several bars share an arm.
    references: names to fractions, drawn as dashed lines across and named in the legend
    (zero-shot, ``direct``, chance).
    """
    if not rows:
        return empty_figure("accuracy", "No run has been evaluated yet.", dark)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row.get("title") or arm_title(row["arm"])), []).append(row)
    bars = [_bar(title, members) for title, members in groups.items()]
    figure = go.Figure()
    for bar in bars:
        _add_bar(figure, bar, ink(dark))
    references = references or {}
    dashes = cycle(("dash", "dot", "dashdot"))
    for name, value in references.items():
        figure.add_hline(
            y=value,
            line={"dash": next(dashes), "width": 1.5, "color": ink(dark)},
            name=f"{text(name)} {percent(value)}",
            showlegend=True,
        )
    figure.update_yaxes(percent_axis(title_text=f"{split} top-1"))
    figure.update_xaxes(categoryorder="array", categoryarray=[_wrapped(bar.title) for bar in bars])
    figure.update_traces(showlegend=False)
    figure.update_layout(bargap=0.35)
    finish(figure, "accuracy", 340, dark)
    legend_below(figure, len(references), 340)
    return figure


def slices_bars(
    slices: Mapping[str, Mapping[str, float]],
    name: str = "slice",
    dark: bool | None = None,
) -> go.Figure:
    """Test top-1 on the parts of a split, the arms side by side in each.

    slices: an arm to {value: top-1 fraction}, the ``slices[name]`` of its ``result.json``.
    """
    slices = {arm: table for arm, table in slices.items() if table}
    if not slices:
        return empty_figure("slices", f"This split is not cut by {name}.", dark)
    values = list(dict.fromkeys(value for table in slices.values() for value in table))
    figure = go.Figure()
    for arm, table in slices.items():
        title = text(arm_title(arm))
        figure.add_bar(
            x=[text(value) for value in values],
            y=[table.get(value) for value in values],
            name=title,
            marker={"color": arm_colour(arm)},
            hovertemplate=f"{title}<br>{text(name)} %{{x}}: %{{y:.2%}}<extra></extra>",
        )
    figure.update_yaxes(percent_axis(title_text="test top-1"))
    figure.update_xaxes(title_text=text(name), type="category")
    figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05, showlegend=True)
    finish(figure, "slices", 360, dark)
    legend_below(figure, len(slices), 360)
    return figure


def _wrapped(title: str) -> str:
    # In two lines a title stays level on a phone.
    return "<br>".join(text(line) for line in wrap(title, 14)) or " "


def _bar(title: str, rows: list[Row]) -> _Bar:
    seeds = [float(row["top1"]) for row in rows]
    height, colour = mean(seeds), arm_colour(rows[0]["arm"])
    if len(seeds) > 1:
        spread = stdev(seeds)
        hover = f"{percent(height)} ± {100 * spread:.1f} (mean ± sd of {len(seeds)} seeds)"
        return _Bar(title, colour, height, spread, spread, hover, seeds)
    interval = rows[0].get("top1_interval")
    if interval is None:
        return _Bar(title, colour, height, 0.0, 0.0, percent(height), [])
    low, high = interval
    hover = f"{percent(height)} (95 % interval {percent(low)} to {percent(high)})"
    return _Bar(title, colour, height, height - low, high - height, hover, [])


def _add_bar(figure: go.Figure, bar: _Bar, ink_colour: str) -> None:
    title = text(bar.title)
    figure.add_bar(
        x=[_wrapped(bar.title)],
        y=[bar.height],
        marker={"color": bar.colour},
        text=[percent(bar.height)],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        textfont={"color": "#FFFFFF"},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [bar.above],
            "arrayminus": [bar.below],
            "color": ink_colour,
            "thickness": 1.5,
            "visible": bar.above + bar.below > 0,
        },
        hovertemplate=f"{title}<br>{bar.hover}<extra></extra>",
    )
    if bar.seeds:
        figure.add_scatter(
            x=[_wrapped(bar.title)] * len(bar.seeds),
            y=bar.seeds,
            mode="markers",
            marker={"color": ink_colour, "size": 6, "symbol": "line-ew-open"},
            hovertemplate=f"{title}<br>one seed: %{{y:.2%}}<extra></extra>",
        )
