"""Networks of one architecture have one latency."""

from __future__ import annotations

from dait.api import load_study
from dait.evaluation.results.latency import with_one_latency
from dait.evidence.comparison import Comparison
from dait.storage.paths import ASSETS

SMALL = {"parameters": 10, "macs": 100, "map": [8, 2, 2]}
LARGE = {"parameters": 20, "macs": 300, "map": [8, 2, 2]}


def test_the_least_figure_counts_for_all_of_an_architecture() -> None:
    taught = {"intermediate": {**LARGE, "latency_ms": 9.0}}
    results = [
        {**SMALL, "latency_ms": 3.0},
        {**SMALL, "latency_ms": 2.0, "between": taught, "intermediate": taught["intermediate"]},
        {**LARGE, "latency_ms": 8.0},
        {"top1": 0.5},
    ]
    found = with_one_latency(results)
    assert [row["latency_ms"] for row in found] == [2.0, 2.0, 8.0, None]
    assert found[1]["between"]["intermediate"]["latency_ms"] == 8.0
    assert found[1]["intermediate"]["latency_ms"] == 8.0
    assert results[0]["latency_ms"] == 3.0  # what is on disk is not changed


def test_the_shipped_study_has_one_latency_for_its_students() -> None:
    study = load_study(ASSETS / "runs" / "demo")
    assert isinstance(study, Comparison)
    students = [row for row in study.table() if row["role"] not in ("vlm", "intermediate")]
    assert len(students) == 3 and len({row["latency_ms"] for row in students}) == 1
    assert len({row["latency_ms"] for row in study.results()}) == 1
