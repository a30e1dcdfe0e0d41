"""A figure's data as a table in long form: a row for every mark, read from the figure itself.

Nothing is computed again, so a table holds what its figure shows and no more.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dait.evidence.figures import (
    confusion,
    gains,
    regimes,
    reliability,
    similarity,
    tsne,
)

Row = dict[str, Any]


def figure_rows(figure: go.Figure) -> list[Row]:
    """The marks of a figure of this package, each with its columns by name; none in an empty one.

    Shares are fractions, and what a figure scales (a t-SNE map) is as it shows it. Panels of
    networks are a column ``network``, other panels ``panel``, traces ``series``; the axes' own
    titles name what has no better name.
    """
    reader = _READERS.get(str(figure.layout.uirevision), _plain)
    return [{key: _shown(value) for key, value in row.items()} for row in reader(figure)]


def figure_csv(figure: go.Figure) -> str:
    """``figure_rows`` as CSV with a line of names; only a line end for a figure without data."""
    rows = figure_rows(figure)
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _guarded(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def _tsne(figure: go.Figure) -> Iterator[Row]:
    titles = _panel_titles(figure)
    for trace in figure.data:
        network = titles[_panel(trace)]
        for x, y, (index, name, of_class) in zip(
            _values(trace.x), _values(trace.y), _values(trace.customdata), strict=True
        ):
            yield {"network": network, "index": index, "image": name, "class": of_class,
                   "x": x, "y": y}  # fmt: skip


def _similarity(figure: go.Figure) -> Iterator[Row]:
    for network, trace in zip(_panel_titles(figure), figure.data, strict=True):
        for cells, cosines in zip(_values(trace.customdata), _values(trace.z), strict=True):
            for (one, other, *_), cosine in zip(cells, cosines, strict=True):
                if cosine is not None and math.isfinite(cosine):
                    yield {"network": network, "class": one, "other": other, "cosine": cosine}


def _confusion(figure: go.Figure) -> Iterator[Row]:
    names = _confusion_names(figure)
    for network, trace in zip(_panel_titles(figure), figure.data, strict=True):
        for cells in _values(trace.customdata):
            for row, column, count, of_row in filter(None, cells):
                yield {
                    "network": network,
                    "shown": names[row],
                    "taken_for": names[column],
                    "count": count,
                    "images": of_row,
                    "share": count / of_row,
                }


def _confusion_names(figure: go.Figure) -> dict[int, str]:
    """Classes, or groups, by index: every one that is shown has a cell, whose text names it."""
    names: dict[int, str] = {}
    for trace in figure.data:
        for cells, described in zip(_values(trace.customdata), _values(trace.text), strict=True):
            for cell, words in zip(cells, described, strict=True):
                if cell:
                    shown, _, taken = words.partition("<br>taken for<br>")
                    names[cell[0]] = shown.partition("<br>")[0]
                    if taken:
                        names[cell[1]] = taken.rpartition(": ")[0]
    return names


def _gains(figure: go.Figure) -> Iterator[Row]:
    bars = [trace for trace in figure.data if trace.type == "bar"]
    for trace in bars:
        spreads = _values(trace.error_y.array)
        for gain, sd, (_, images, name, ours, theirs) in zip(
            _values(trace.y), spreads, _values(trace.customdata), strict=True
        ):
            yield {
                "class": name,
                "images": images,
                "ours": ours,
                "theirs": theirs,
                "gain": gain,
                "sd": sd if trace.error_y.visible else None,
                "ahead": trace.name.removesuffix(" is ahead"),
            }


def _regimes(figure: go.Figure) -> Iterator[Row]:
    names = (
        *("condition", "teacher", "student", "arm", "zero_shot", "probe", "start_probe"),
        *("gain", "seeds", "worst", "best"),
    )
    for trace in figure.data:
        for values in _values(trace.customdata):
            yield dict(zip(names, values, strict=True))


def _reliability(figure: go.Figure) -> Iterator[Row]:
    titles = _panel_titles(figure)
    for trace in figure.data:
        if trace.type != "bar" or trace.base is not None:
            continue
        gap = next(
            other
            for other in figure.data
            if other.type == "bar" and other.base is not None and _panel(other) == _panel(trace)
        )
        for x, right, over, (_, answers) in zip(
            _values(trace.x), _values(trace.y), _values(gap.y), _values(trace.customdata),
            strict=True,
        ):  # fmt: skip
            yield {
                "network": titles[_panel(trace)].rpartition(", ECE ")[0],
                "from": x - trace.width / 2,
                "to": x + trace.width / 2,
                "answers": answers,
                "accuracy": right,
                "confidence": right + over,
            }


def _plain(figure: go.Figure) -> Iterator[Row]:
    """Bars, points, lines and cells by the titles of the axes; lines across by their names."""
    titles = _panel_titles(figure)
    for trace in figure.data:
        number = _panel(trace)
        row: Row = {"panel": titles[number]} if len(titles) > 1 and number < len(titles) else {}
        if trace.name:
            row["series"] = trace.name
        ends = "" if number == 0 else str(number + 1)
        across = _axis_title(figure, f"xaxis{ends}", "x")
        up = _axis_title(figure, f"yaxis{ends}", "y")
        if trace.type == "heatmap":
            for y, cells in enumerate(_values(trace.z)):
                for x, value in enumerate(cells):
                    yield {**row, across: x, up: y, "value": value}
            continue
        for at, (x, y) in enumerate(zip(_values(trace.x), _values(trace.y), strict=True)):
            yield {**row, across: x, up: y, **_whisker(trace, at, up)}
    for shape in figure.layout.shapes:
        if shape.name:
            up = _axis_title(figure, "yaxis", "y")
            yield {"series": shape.name, up: shape.y0}


def _whisker(trace: Any, at: int, of: str) -> Row:
    error = getattr(trace, "error_y", None)
    if error is None or error.visible is False or not _values(error.array):
        return {}
    above = _values(error.array)
    below = _values(error.arrayminus) or above
    return {f"{of} less": below[at], f"{of} more": above[at]}


def _panel_titles(figure: go.Figure) -> list[str]:
    """The titles of the panels, which are the first annotations; those that say more follow."""
    titled = [note for note in figure.layout.annotations if note.yanchor == "bottom"]
    return [note.text for note in titled if note.xref == "paper" and note.xanchor == "center"]


def _panel(trace: Any) -> int:
    return int((getattr(trace, "xaxis", None) or "x")[1:] or 1) - 1


def _axis_title(figure: go.Figure, axis: str, otherwise: str) -> str:
    found = figure.layout[axis].title.text if axis in figure.layout else None
    return found or otherwise


def _values(found: Any) -> list[Any]:
    """What a trace holds, as nested lists; plotly's JSON packs numbers as base64."""
    if isinstance(found, dict):
        flat = np.frombuffer(base64.b64decode(found["bdata"]), dtype=np.dtype(found["dtype"]))
        shape = found.get("shape")
        found = flat.reshape([int(part) for part in shape.split(",")]) if shape else flat
    if isinstance(found, np.ndarray):
        return list(found.tolist())
    return [
        _values(part) if isinstance(part, (tuple, np.ndarray)) else part for part in found or ()
    ]


def _shown(value: Any) -> Any:
    """Names as people read them, and nothing for what is not a number."""
    if isinstance(value, str):
        return html.unescape(re.sub(r"<br>", " ", value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _guarded(value: Any) -> Any:
    # A class can be called anything: a spreadsheet must not take its name for a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


_READERS: dict[str, Callable[[go.Figure], Iterator[Row]]] = {
    tsne.NAME: _tsne,
    similarity.NAME: _similarity,
    confusion.NAME: _confusion,
    gains.NAME: _gains,
    regimes.NAME: _regimes,
    reliability.NAME: _reliability,
}
