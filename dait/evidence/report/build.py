"""The whole report: from folders to one page and its figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dait.evaluation.arms import over_seeds
from dait.events import Emit, Progress, ignore
from dait.evidence.report import (
    ablations,
    accuracy,
    costs,
    features,
    heatmaps,
    localisation,
    mistakes,
    regimes,
    reproduce,
)
from dait.evidence.report.accuracy import gains_of, student_of
from dait.evidence.report.inputs import ReportInputs, TestSet, gather
from dait.evidence.report.page import page
from dait.evidence.report.section import Section
from dait.evidence.wording import listed

IMAGES = 8
"""Test images explained under every network, where nothing else is asked for."""

_SECTIONS = (
    accuracy.write,
    accuracy.write_sweep,
    mistakes.write_classes,
    mistakes.write_confusions,
    heatmaps.write,
    localisation.write,
    features.write,
    costs.write_costs,
    costs.write_curves,
    regimes.write,
    ablations.write,
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
    sections = [_in_short(inputs)]
    for number, write in enumerate(_SECTIONS):
        emit(Progress("Writing the report", number, len(_SECTIONS), "sections"))
        sections.append(write(inputs))
    emit(Progress("Writing the report", len(_SECTIONS), len(_SECTIONS), "sections"))
    names = listed(list(inputs.folders))
    made = f"Made by DAIT Studio (python -m dait compare) on {time.strftime('%d %B %Y, %H:%M')}."
    lead = "Direct distillation, DAIT and their like on the same test images."
    return Report(page(f"Comparison: {names}", lead, sections, made), _report_json(inputs))


def _in_short(inputs: ReportInputs) -> Section:
    section = Section("in-short", "In short")
    several = len(inputs.tests) > 1
    if several:
        section.paragraph(
            f"These runs learned from {len(inputs.tests)} different data sets, or from different "
            "parts of one. Arms are compared and tested within each; over all of them there is the "
            "first table only."
        )
    for test in inputs.tests:
        if several:
            section.heading(test.title)
        sentences = accuracy.in_short(test)
        if sentences:
            section.items(sentences)
        else:
            section.paragraph(
                "No arm here has another of the same student on the same data to be counted from: "
                "the figures of each are below."
            )
    if inputs.left_out:
        things = "One thing is" if len(inputs.left_out) == 1 else "Some things are"
        section.missing(f"{things} left out; the last section says which and why.")
    return section


def _report_json(inputs: ReportInputs) -> dict[str, Any]:
    """What ``python -m dait compare --json`` prints; ARCHITECTURE.md has its keys."""
    return {
        "table": [row for test in inputs.tests for row in _rows(test)],
        "mcnemar": [
            {"data": test.title, **row}
            for test in inputs.tests
            for row in accuracy.corrected_tests(test)
        ],
        "networks": {part.title: part.comparison.table() for part in inputs.studies},
        "localisation": {
            title: found.model_dump(mode="json", include=_LOCALISATION)
            for title, found in inputs.localised.items()
        },
        "representation": {part.title: part.comparison.representation() for part in inputs.studies},
        "left_out": [{"what": row.what, "reason": row.reason} for row in inputs.left_out],
    }


_LOCALISATION = {"settings", "sample", "area", "part_area", "arms", "differences"}


def _rows(test: TestSet) -> list[dict[str, Any]]:
    rows = []
    for group in test.groups:
        gains, base = gains_of(test, group), test.bases.get(group.name)
        rows.append(
            {
                "data": test.title,
                "name": group.name,
                "student": student_of(group),
                **over_seeds(group),
                "gain": None if gains is None else gains["top1"],
                "against": None if base is None else base.name,
            }
        )
    return rows
