"""Predictions as HTML: cards for one photograph, a table for several, and both as a CSV file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from app.config import hide_paths
from app.predict.views import Explained, PhotoPredictions
from app.ui.pictures import picture_address
from app.ui.tables import Cell, table_html
from app.ui.wording import UNKNOWN, escape, milliseconds, percent
from dait.evidence.heatmaps.explanation import Explanation
from dait.evidence.heatmaps.overlay import heat_layer
from dait.evidence.palette import arm_colour
from dait.evidence.prediction_tables import predictions_csv

CSV_NAME = "predictions.csv"


def photo_html(found: Explained) -> str:
    """A card a network: the photograph under its heatmap, five answers, and the latency."""
    answers = {network["network"]: network for network in found.image["networks"]}
    shown = picture_address(found.picture.shown)
    cells = [
        _card(found, shown, explanation, answers.get(explanation.member.key))
        for explanation in found.explanations
    ]
    return (
        f'<div class="ds-result"><p class="ds-hint">{escape(found.picture.name)}. Latency is that '
        "of one forward pass on this machine, without reading the file and without the heatmap."
        f"</p>{_csv_link([found.image])}</div>"
        f'<div class="ds-row">{"".join(cells)}</div>'
    )


def batch_html(found: PhotoPredictions) -> str:
    """A row a photograph and a column a network, each with its best answer."""
    body: list[tuple[str, list[Cell]]] = []
    for image, thumbnail in zip(found.images, found.thumbnails, strict=True):
        answers = {network["network"]: network for network in image["networks"]}
        picture = f'<img class="ds-photo" src="{picture_address(thumbnail)}" alt="">'
        cells = [_best(answers.get(member.key)) for member in found.members]
        body.append((f'{picture}<span class="ds-file">{escape(image["image"])}</span>', cells))
    latencies = [
        (member.title, _median_latency(found.images, member.key)) for member in found.members
    ]
    caption = "Median time that a photograph took, several at once: " + ", ".join(
        f"{title} {milliseconds(value)}" for title, value in latencies
    )
    titles = [member.title for member in found.members]
    table = table_html(f"{caption}.", "Photograph", titles, body)
    count = len(found.images)
    words = "One photograph" if count == 1 else f"{count} photographs"
    return (
        f'<div class="ds-result"><p class="ds-hint">{words}: what each network takes it for, and '
        f"how sure it is. The CSV file has the five best answers.</p>{_csv_link(found.images)}"
        f'</div><div class="ds-card">{table}</div>'
    )


def _card(
    found: Explained, shown: str, explanation: Explanation, answer: Mapping[str, Any] | None
) -> str:
    member = explanation.member
    alt = f"{found.picture.name} as seen by {member.title}"
    heat = ""
    if not explanation.empty:
        layer = picture_address(heat_layer(explanation.heat), kind="PNG")
        heat = f'<img class="heat" src="{layer}" alt="Heatmap of {escape(member.title)}">'
    return (
        f'<figure class="ds-cell" style="--arm: {arm_colour(member.role)}">'
        f'<div class="ds-name">{escape(member.title)}</div>'
        f'<div class="ds-picture"><img src="{shown}" alt="{escape(alt)}">{heat}</div>'
        f"<figcaption>{_top(answer)}{_why(found, explanation)}</figcaption></figure>"
    )


def _top(answer: Mapping[str, Any] | None) -> str:
    if answer is None:
        return '<div class="ds-answer">No answer</div>'
    lines = "".join(
        f'<li style="--share: {100 * found["probability"]:.1f}%"><span>{escape(found["name"])}'
        f"</span><span>{percent(found['probability'], 0)}</span></li>"
        for found in answer["top"]
    )
    return (
        f'<ol class="ds-top">{lines}</ol>'
        f'<p class="ds-why">Latency {milliseconds(answer["latency_ms"])}</p>'
    )


def _why(found: Explained, explanation: Explanation) -> str:
    if explanation.note:
        return f'<p class="ds-why">{escape(hide_paths(explanation.note))}</p>'
    if explanation.empty:
        target = escape(found.comparison.classes[explanation.target].name)
        return f'<p class="ds-why">The map was empty: nothing here speaks for {target}.</p>'
    return ""


def _best(answer: Mapping[str, Any] | None) -> Cell:
    if answer is None:
        return UNKNOWN, ""
    best = answer["top"][0]
    return escape(best["name"]), percent(best["probability"], 0)


def _median_latency(images: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [
        network["latency_ms"]
        for image in images
        for network in image["networks"]
        if network["network"] == key
    ]
    return median(values) if values else None


def _csv_link(images: Sequence[Mapping[str, Any]]) -> str:
    """The table inside the page itself: no file of a visitor stays on the server."""
    content = base64.b64encode(predictions_csv(images).encode("utf-8")).decode("ascii")
    return (
        f'<a class="ds-download" download="{CSV_NAME}" '
        f'href="data:text/csv;charset=utf-8;base64,{content}">Download as CSV</a>'
    )
