"""The comparison's figures as HTML tables; on a phone every row becomes a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.ui.wording import (
    UNKNOWN,
    count,
    escape,
    megabytes,
    milliseconds,
    p_value,
    percent,
    points,
)
from dait.evidence.palette import arm_colour

Row = Mapping[str, Any]
Cell = tuple[str, str]
"""What a cell says, and a smaller second line (or nothing)."""


def comparison_table(rows: Sequence[Row], caption: str) -> str:
    """The table of ``Comparison.table()``. Accuracies are of the test split."""
    names = (
        *("Top-1", "Gain over direct", "p (McNemar)", "Per class", "Parameters"),
        *("MACs", "Latency", "File"),
    )
    body = [(_network(row), [_accuracy(row), *_figures(row)]) for row in rows]
    return table_html(caption, "Network", names, body)


def representation_table(rows: Sequence[Row], caption: str) -> str:
    """The table of ``Comparison.representation()``: cosines, k-NN, silhouette, CKA."""
    names = ("Intra", "Inter", "Gap", "k-NN", "Silhouette", "CKA with VLM", "CKA with T")
    keys = ("intra", "inter", "gap", "knn", "silhouette", "cka_vlm", "cka_intermediate")
    body = [
        (
            _network(row),
            [(percent(row.get(key)) if key == "knn" else _plain(row.get(key)), "") for key in keys],
        )
        for row in rows
    ]
    return table_html(caption, "Network", names, body)


def _network(row: Row) -> str:
    dot = f'<span class="ds-dot" style="background: {arm_colour(str(row["role"]))}"></span>'
    return f"{dot}{escape(row['title'])}"


def _accuracy(row: Row) -> Cell:
    interval, seeds = row.get("interval"), row.get("seeds") or 1
    if row.get("sd") is not None:
        return percent(row["top1"]), f"± {100 * row['sd']:.1f} over {seeds} seeds"
    if interval:
        return percent(row["top1"]), f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
    return percent(row.get("top1")), ""


def _figures(row: Row) -> list[Cell]:
    shape = row.get("map")
    grid = f"map {shape[1]} × {shape[2]}" if shape else ""
    return [
        (points(row.get("gain")), ""),
        (p_value(row.get("mcnemar_p")), ""),
        (percent(row.get("mean_per_class")), ""),
        (count(row.get("parameters")), grid),
        (count(row.get("macs")), ""),
        (milliseconds(row.get("latency_ms")), ""),
        (megabytes(row.get("file_bytes")), ""),
    ]


def _plain(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}".replace("-", "−")


def table_html(
    caption: str,
    first: str,
    names: Sequence[str],
    body: Sequence[tuple[str, Sequence[Cell]]],
) -> str:
    """An HTML table. Names and cells are HTML: what came from outside is escaped by the caller."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (first, *names))
    lines = []
    for title, cells in body:
        columns = "".join(
            f'<td data-name="{escape(name)}"><span>{text}{_small(small)}</span></td>'
            for name, (text, small) in zip(names, cells, strict=True)
        )
        lines.append(f'<tr><th scope="row">{title}</th>{columns}</tr>')
    return (
        f'<table class="ds-table"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""
