"""Predictions of several networks for photographs: as mappings, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dait.evidence.heatmaps.explanation import TOP, NetworkPrediction
from dait.evidence.heatmaps.row import NetworkRow

COLUMNS = ("image", "network", "rank", "class", "name", "probability")

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def predicted_networks(
    row: NetworkRow, image: np.ndarray, top: int = TOP, passes: int = 1
) -> list[dict[str, Any]]:
    """A mapping for each network of ``row`` that can be loaded, of ``(S, S, 3)`` uint8.

    ``network`` (the member's key), ``role``, ``title``, ``latency_ms`` (of the
    forward pass), ``unlike`` (whether the image is unlike anything that it was trained on, None
    where that is not known) and ``top``: ``index``, ``key``, ``name`` and ``probability`` of a
    class each, best first. Raises ``UserError`` as ``NetworkRow.predict`` does.
    """
    return named_networks(row, row.predict_timed(image, top, passes))


def named_networks(
    row: NetworkRow, predictions: Mapping[str, NetworkPrediction]
) -> list[dict[str, Any]]:
    """What ``predicted_networks`` gives, from predictions that ``row`` has made."""
    members = {member.key: member for member in row.members}
    return [
        {
            "network": key,
            "role": members[key].role,
            "title": members[key].title,
            "latency_ms": 1000 * found.seconds,
            "unlike": found.unlike,
            "top": row.named(found.top),
        }
        for key, found in predictions.items()
    ]


def predictions_csv(images: Iterable[Mapping[str, Any]]) -> str:
    """A line for each image, network and rank; ``images`` have ``image`` and ``networks``.

    A name that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@`` or
    a control character) gets an apostrophe in front, which shows it as the text that it is.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for image in images:
        for network in image["networks"]:
            for rank, found in enumerate(network["top"], 1):
                names = (image["image"], network["network"], found["key"], found["name"])
                file, name, key, called = map(_as_text, names)
                writer.writerow([file, name, rank, key, called, f"{found['probability']:.6f}"])
    return buffer.getvalue()


def _as_text(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS_A_FORMULA) else text
