"""What an arm gains over another, a bar for each class, from the most to the least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dait.evidence.figures.layout import empty_figure, finish, ink, legend_below, percent, text
from dait.evidence.palette import RunLook, run_look

NAME = "gains"
HEIGHT = 380
NAMES_PIXELS = 90
MOST_NAMES, MOST_NAMES_NARROW = 42, 14
"""With more classes than this the axis carries no names; the hover text does."""

Row = Mapping[str, Any]


def gain_bars(
    rows: Sequence[Row], arm: str, against: str, columns: int = 2, dark: bool | None = None
) -> go.Figure:
    """The gain in accuracy on each class, in the colour of the arm that is ahead on it.

    rows: of ``dait.evaluation.arms.gains_as_json``: ``index``, ``name``, ``n``, ``ours``,
    ``theirs``, ``gain`` (fractions), and ``sd`` over the seeds, drawn as a whisker, or None. arm,
    against: an arm or a run folder's name. columns: 1 on a narrow screen, where fewer names fit. A
    dashed line marks the mean over the classes. A bar's ``customdata`` is [class index, images,
    name, ours, theirs].
    """
    if not rows:
        return empty_figure(NAME, "There is no seed of which both arms' answers are known.", dark)
    ours, theirs = run_look(arm), run_look(against)
    ordered = sorted(rows, key=lambda row: -row["gain"])
    figure = go.Figure()
    for look, is_ahead in ((ours, True), (theirs, False)):
        places = [at for at, row in enumerate(ordered) if (row["gain"] >= 0) == is_ahead]
        _add_bars(figure, ordered, places, look, (ours, theirs), ink(dark))
    mean = sum(row["gain"] for row in ordered) / len(ordered)
    figure.add_hline(
        y=mean,
        line={"dash": "dash", "width": 1.5, "color": ink(dark)},
        name=f"mean over the classes {_points(mean)}",
        showlegend=True,
    )
    named = len(ordered) <= (MOST_NAMES if columns > 1 else MOST_NAMES_NARROW)
    figure.update_xaxes(
        tickvals=list(range(len(ordered))) if named else [],
        ticktext=[text(row["name"]) for row in ordered] if named else [],
        tickangle=-45,
        tickfont={"size": 11},
        title_text=None if named else f"{len(ordered)} classes",
    )
    figure.update_yaxes(title_text=f"gain over {text(theirs.title)}", tickformat="+.0%")
    figure.update_layout(bargap=0.2 if named else 0, showlegend=True)
    height = HEIGHT + (NAMES_PIXELS if named else 0)
    finish(figure, NAME, height, dark)
    legend_below(figure, 3, height, columns)
    figure.update_xaxes(showgrid=False)
    figure.update_layout(margin={"t": 16})
    return figure


def _add_bars(
    figure: go.Figure,
    rows: Sequence[Row],
    places: Sequence[int],
    ahead: RunLook,
    looks: tuple[RunLook, RunLook],
    ink_colour: str,
) -> None:
    own = [rows[at] for at in places]
    figure.add_bar(
        x=list(places),
        y=[row["gain"] for row in own],
        name=f"{text(ahead.title)} is ahead",
        marker={"color": ahead.colour, "line": {"width": 0}},
        error_y={
            "type": "data",
            "array": [row.get("sd") or 0.0 for row in own],
            "color": ink_colour,
            "thickness": 1.2,
            "width": 2,
            "visible": any(row.get("sd") for row in own),
        },
        customdata=[
            [int(row["index"]), int(row["n"]), text(row["name"]), row["ours"], row["theirs"]]
            for row in own
        ],
        hovertext=[_hover(row, looks) for row in own],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _hover(row: Row, looks: tuple[RunLook, RunLook]) -> str:
    ours, theirs = (text(look.title) for look in looks)
    spread = "" if row.get("sd") is None else f" ± {100 * row['sd']:.1f} (sd over seeds)"
    return (
        f"{text(row['name'])}: {_points(row['gain'])}{spread}<br>{ours} {percent(row['ours'])}"
        f"<br>{theirs} {percent(row['theirs'])}<br>{row['n']:,} images"
    )


def _points(gain: float) -> str:
    return f"{100 * gain:+.1f} points"
