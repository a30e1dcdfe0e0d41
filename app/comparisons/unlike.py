"""A sentence about a photograph that is unlike anything a study's networks were trained on."""

from __future__ import annotations

from collections.abc import Collection

from app.catalogue.sources import FIELD_GUIDE
from app.ui.templates import render
from dait.evidence.comparison import Comparison


def is_unlike(verdicts: Collection[bool | None]) -> bool:
    """Whether most of the networks that know say so. verdicts: one a network, None: unknown."""
    known = [verdict for verdict in verdicts if verdict is not None]
    return 2 * sum(known) > len(known)


def unlike_html(verdicts: Collection[bool | None], comparison: Comparison) -> str:
    """The sentence with a way on as HTML; empty where the photograph is familiar."""
    if not is_unlike(verdicts):
        return ""
    known = [verdict for verdict in verdicts if verdict is not None]
    return render(
        "unlike",
        saying=sum(known),
        known=len(known),
        classes=len(comparison.classes),
        drawn=comparison.recipe.data.source == FIELD_GUIDE,
    )
