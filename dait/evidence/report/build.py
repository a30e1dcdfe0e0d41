"""The whole report: from folders to one page and its figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dait.events import Emit, Progress, ignore
from dait.evidence.report import (
    accuracy,
    costs,
    features,
    heatmaps,
    localisation,
    mistakes,
    reproduce,
)
from dait.evidence.report.inputs import ReportInputs, gather
from dait.evidence.report.page import page
from dait.evidence.report.record import record
from dait.evidence.report.sheet import Sheet
from dait.evidence.report.wording import listed

IMAGES = 8
"""Test images explained under every network, where nothing else is asked for."""

_SECTIONS = (
    accuracy.write,
    mistakes.write_classes,
    mistakes.write_confusions,
    heatmaps.write,
    localisation.write,
    features.write,
    costs.write_costs,
    costs.write_curves,
    reproduce.write,
)


@dataclass(frozen=True)
class Report:
    """html: the page; figures: what is in it, for machines."""

    html: str
    figures: dict[str, Any]


def make_report(
    folders: Sequence[Path],
    against: str | None = None,
    images: int = IMAGES,
    emit: Emit = ignore,
) -> Report:
    """The report on studies and runs. Raises ``UserError`` as ``gather`` does."""
    inputs = gather(folders, against, images, emit)
    sheets = [_in_short(inputs)]
    for number, write in enumerate(_SECTIONS):
        emit(Progress("Writing the report", number, len(_SECTIONS), "sections"))
        sheets.append(write(inputs))
    emit(Progress("Writing the report", len(_SECTIONS), len(_SECTIONS), "sections"))
    names = listed(list(inputs.folders))
    made = f"Made by DAIT Studio (python -m dait compare) on {time.strftime('%d %B %Y, %H:%M')}."
    lead = "Direct distillation, DAIT and their like on the same test images."
    return Report(page(f"Comparison: {names}", lead, sheets, made), record(inputs))


def _in_short(inputs: ReportInputs) -> Sheet:
    sheet = Sheet("in-short", "In short")
    several = len(inputs.tests) > 1
    if several:
        sheet.say(
            f"These runs learned from {len(inputs.tests)} different data sets, or from different "
            "parts of one. Arms are compared and tested within each; over all of them there is the "
            "first table only."
        )
    for test in inputs.tests:
        if several:
            sheet.heading(test.title)
        sentences = accuracy.in_short(test)
        if sentences:
            sheet.items(sentences)
        else:
            sheet.say(
                "No arm here has another of the same student on the same data to be counted from: "
                "the figures of each are below."
            )
    if inputs.left_out:
        things = "One thing is" if len(inputs.left_out) == 1 else "Some things are"
        sheet.miss(f"{things} left out; the last section says which and why.")
    return sheet
