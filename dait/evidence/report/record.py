"""The report's figures for machines."""

from __future__ import annotations

from typing import Any

from dait.evaluation.arms import over_seeds, paired_tests
from dait.evidence.report.accuracy import gains_of, student_of
from dait.evidence.report.inputs import ReportInputs, TestSet


def record(inputs: ReportInputs) -> dict[str, Any]:
    """What ``python -m dait compare --json`` prints; ARCHITECTURE.md has its keys."""
    return {
        "table": [row for test in inputs.tests for row in _rows(test)],
        "mcnemar": [
            {"data": test.title, **row}
            for test in inputs.tests
            for row in paired_tests(test.groups)
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
