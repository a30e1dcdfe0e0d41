"""The comparison's figures as HTML tables; on a phone every row becomes a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.ui.templates import render
from app.ui.wording import (
    UNKNOWN,
    count,
    megabytes,
    milliseconds,
    p_value,
    percent,
    points,
    seed_words,
)
from dait.evaluation.metrics import holm

Row = Mapping[str, Any]
Cell = tuple[str, str]
"""A cell's text, and a smaller second line (or nothing)."""


def comparison_table(rows: Sequence[Row], caption: str) -> str:
    """The table of ``Comparison.table()``. Accuracies are of the test split."""
    names = (
        "Top-1",
        "Gain over direct",
        "p (McNemar)",
        "Per class",
        "Parameters",
        "MACs",
        "Latency",
        "File",
    )
    tests = iter(holm([p for row in rows for p in row["mcnemar_ps"].values()]))
    body = []
    for row in rows:
        corrected = {int(seed): next(tests) for seed in row["mcnemar_ps"]}
        cells = [_accuracy(row), (points(row.get("gain")), ""), _largest_p(corrected)]
        body.append((network_name(row["role"], row["title"]), [*cells, *_figures(row)]))
    return table_html(caption, "Network", names, body)


def representation_table(rows: Sequence[Row], caption: str) -> str:
    """The table of ``Comparison.representation()``: cosines, k-NN, silhouette, CKA."""
    names = (
        "Intra",
        "Inter",
        "Gap",
        "k-NN",
        "Silhouette",
        "CKA with frozen teacher",
        "CKA with intermediate",
    )
    keys = ("intra", "inter", "gap", "knn", "silhouette", "cka_vlm", "cka_intermediate")
    body = [
        (
            network_name(row["role"], row["title"]),
            [(percent(row.get(key)) if key == "knn" else _plain(row.get(key)), "") for key in keys],
        )
        for row in rows
    ]
    return table_html(caption, "Network", names, body)


def network_name(role: str, title: str) -> str:
    """A network's title behind a dot in its colour, as HTML."""
    return render("network_name", role=role, title=title)


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
        (percent(row.get("mean_per_class")), ""),
        (count(row.get("parameters")), grid),
        (count(row.get("macs")), ""),
        (milliseconds(row.get("latency_ms")), ""),
        (megabytes(row.get("file_bytes")), ""),
    ]


def _largest_p(tests: Mapping[int, float]) -> Cell:
    """The largest p of the seeds, as the opening has it."""
    return (p_value(max(tests.values())), seed_words(sorted(tests))) if tests else (UNKNOWN, "")


def _plain(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}".replace("-", "−")


def table_html(
    caption: str,
    first: str,
    names: Sequence[str],
    body: Sequence[tuple[str, Sequence[Cell]]],
) -> str:
    """An HTML table: a row's head and its cells are text, or what ``render`` returned."""
    return render("table", caption=caption, first=first, names=names, body=body)
