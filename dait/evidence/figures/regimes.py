"""The map of regimes: what every arm gains, over how much the frozen teacher knows of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import plotly.graph_objects as go

from dait.config.arms import arm_title
from dait.evaluation.regimes import REFERENCE, RegimeSummary
from dait.evidence.figures.layout import (
    empty_figure,
    finish,
    legend_below,
    panels,
    percent,
    text,
)
from dait.evidence.palette import arm_colour, with_opacity

NAME = "regimes"
PANEL_HEIGHT, GAP = 260, 84

Strength = Literal["zero_shot", "probe"]
STRENGTHS: dict[Strength, str] = {
    "zero_shot": "frozen teacher's zero-shot top-1",
    "probe": "linear probe of the frozen teacher",
}
"""What the axis can measure a frozen teacher by, and what it is called."""


def regime_panels(
    regimes: Sequence[RegimeSummary],
    against: Strength = "zero_shot",
    columns: int = 2,
    dark: bool | None = None,
) -> go.Figure:
    """When does which arm pay? Points gained over ``REFERENCE``, which is the zero line.

    A column a condition (which images), a row a student; on a narrow screen (``columns`` 1) all are
    below one another. against: a key of ``STRENGTHS``. A point is the mean over the seeds, its
    whisker goes from the worst to the best of them. A point's ``customdata`` is [condition,
    teacher, student, arm, zero-shot, probe, start probe, gain, seeds, worst, best], as fractions.
    """
    if not regimes:
        return empty_figure(NAME, "There is no map of regimes here.", dark)
    conditions = _condition_titles(regimes)
    students = list(dict.fromkeys(regime.student for regime in regimes))
    places = [(student, condition) for student in students for condition in conditions]
    shown = panels(
        [f"{student}, {conditions[condition]}" for student, condition in places],
        len(conditions) if columns > 1 else 1,
        GAP,
        PANEL_HEIGHT,
    )
    figure = shown.figure
    arms = [arm for arm in _arms(regimes) if arm != REFERENCE]
    named: set[str] = set()
    for (student, condition), (row, column) in zip(places, shown.cells, strict=True):
        own = [r for r in regimes if (r.student, r.condition) == (student, condition)]
        own.sort(key=lambda regime: float(getattr(regime.measured, against)))
        for arm in arms:
            there = [regime for regime in own if arm in regime.gains]
            if there:
                line = _line(arm, there, against).update(showlegend=arm not in named)
                figure.add_trace(line, row=row, col=column)
                named.add(arm)
        if column == 1:
            figure.update_yaxes(title_text="points over labels alone", row=row, col=column)
        if row == shown.rows:
            figure.update_xaxes(title_text=STRENGTHS[against], row=row, col=column)
    height = shown.rows * PANEL_HEIGHT + (shown.rows - 1) * GAP + 104
    finish(figure, NAME, height, dark)
    legend_below(figure, len(arms), height, columns)
    _share_axes(figure, shown.columns)
    return figure


def _line(arm: str, regimes: Sequence[RegimeSummary], against: Strength) -> go.Scatter:
    gains = [regime.gain(arm) for regime in regimes]
    best = [max(regime.gains[arm]) for regime in regimes]
    worst = [min(regime.gains[arm]) for regime in regimes]
    return go.Scatter(
        x=[getattr(regime.measured, against) for regime in regimes],
        y=[100 * gain for gain in gains],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (high - gain) for high, gain in zip(best, gains, strict=True)],
            "arrayminus": [100 * (gain - low) for low, gain in zip(worst, gains, strict=True)],
            "color": with_opacity(arm_colour(arm), 0.45),
            "thickness": 1.2,
            "width": 2,
            "visible": any(len(regime.gains[arm]) > 1 for regime in regimes),
        },
        name=text(arm_title(arm)),
        legendgroup=arm,
        mode="lines+markers",
        line={"color": arm_colour(arm), "width": 2},
        marker={"color": arm_colour(arm), "size": 7},
        customdata=[
            [
                *(text(name) for name in (regime.condition, regime.teacher, regime.student, arm)),
                regime.measured.zero_shot,
                regime.measured.probe,
                regime.measured.start_probe,
                gain,
                len(regime.gains[arm]),
                low,
                high,
            ]
            for regime, gain, low, high in zip(regimes, gains, worst, best, strict=True)
        ],
        hovertext=[_hover(arm, regime) for regime in regimes],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _hover(arm: str, regime: RegimeSummary) -> str:
    gains, measured = regime.gains[arm], regime.measured
    seeds = "1 seed" if len(gains) == 1 else f"{len(gains)} seeds"
    single = f": {', '.join(f'{100 * gain:+.1f}' for gain in gains)}" if len(gains) > 1 else ""
    return (
        f"<b>{text(arm_title(arm))}</b> {100 * regime.gain(arm):+.1f} points, "
        f"{percent(regime.top1[arm])} top-1<br>teacher {text(regime.teacher)}: zero-shot "
        f"{percent(measured.zero_shot)}, probe {percent(measured.probe)}<br>"
        f"start probe {percent(measured.start_probe)}<br>{seeds}{single}"
    )


def _condition_titles(regimes: Sequence[RegimeSummary]) -> dict[str, str]:
    """What is said of each condition; its name where that says the same of two."""
    found = {
        regime.condition: (
            "with unlabelled images" if regime.measured.unlabelled else "labelled images only"
        )
        for regime in regimes
    }
    said = list(found.values())
    return {name: name if said.count(own) > 1 else own for name, own in found.items()}


def _arms(regimes: Sequence[RegimeSummary]) -> list[str]:
    return list(dict.fromkeys(arm for regime in regimes for arm in regime.gains))


def _share_axes(figure: go.Figure, columns: int) -> None:
    """All panels have the same scales, so the inner ones need no numbers of their own."""
    figure.update_xaxes(matches="x", tickformat=".0%", rangemode="normal")
    figure.update_yaxes(
        matches="y",
        tickformat="+d",
        rangemode="tozero",
        zeroline=True,
        zerolinewidth=2,
        zerolinecolor=arm_colour(REFERENCE),
    )
    for column in range(2, columns + 1):
        figure.update_yaxes(showticklabels=False, col=column)
