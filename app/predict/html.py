"""Predictions as HTML: cards for one photograph, a table for several, and both as a CSV file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from app.comparisons.unlike import is_unlike, unlike_html
from app.predict.views import Explained, PhotoPredictions
from app.ui.pictures import picture_address
from app.ui.tables import Cell, table_html
from app.ui.templates import render
from app.ui.wording import UNKNOWN, milliseconds, percent
from dait.evidence.heatmaps.explanation import Explanation
from dait.evidence.heatmaps.overlay import heat_layer
from dait.evidence.prediction_tables import predictions_csv

CSV_NAME = "predictions.csv"


def photo_html(found: Explained) -> str:
    """A card per network: the photograph under its heatmap, five classes, and the latency."""
    answers = {network["network"]: network for network in found.image["networks"]}
    return render(
        "photo",
        name=found.picture.name,
        csv=_csv_link([found.image]),
        unlike=unlike_html([one["unlike"] for one in found.image["networks"]], found.comparison),
        photograph=picture_address(found.picture.shown),
        cards=[
            {
                "member": explanation.member,
                "heatmap": _heatmap(explanation),
                "answer": answers.get(explanation.member.key),
                "note": explanation.note,
                "target": found.comparison.classes[explanation.target].name,
            }
            for explanation in found.explanations
        ],
    )


def batch_html(found: PhotoPredictions) -> str:
    """A row per photograph and a column per network, each with its best class."""
    body: list[tuple[str, list[Cell]]] = []
    for image, thumbnail, index in zip(found.images, found.thumbnails, found.indices, strict=True):
        answers = {network["network"]: network for network in image["networks"]}
        head = render(
            "photo_name",
            index=index,
            address=picture_address(thumbnail),
            name=image["image"],
            unlike=is_unlike([one["unlike"] for one in image["networks"]]),
        )
        body.append((head, [_best(answers.get(member.key)) for member in found.members]))
    latencies = ", ".join(
        f"{member.title} {milliseconds(_median_latency(found.images, member.key))}"
        for member in found.members
    )
    caption = f"Median time per photograph, in batches: {latencies}."
    table = table_html(caption, "Photograph", [member.title for member in found.members], body)
    return render("photos", count=len(found.images), csv=_csv_link(found.images), table=table)


def _heatmap(explanation: Explanation) -> str | None:
    return None if explanation.empty else picture_address(heat_layer(explanation.heat), kind="PNG")


def _best(answer: Mapping[str, Any] | None) -> Cell:
    if answer is None:
        return UNKNOWN, ""
    best = answer["top"][0]
    return best["name"], percent(best["probability"], 0)


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
    return render("csv_link", name=CSV_NAME, content=content)
