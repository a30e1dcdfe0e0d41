"""What an accuracy costs to run, and how the trainings went."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dait.evaluation.arms import ArmRuns
from dait.evaluation.results.latency import with_one_latency
from dait.evidence import figures
from dait.evidence.report.accuracy import student_of
from dait.evidence.report.inputs import ReportInputs, TestSet, any_run
from dait.evidence.report.section import Cell, Section
from dait.evidence.wording import UNKNOWN, count, percent, three_digits


def write_costs(inputs: ReportInputs) -> Section:
    """The bubble chart and a table of costs, test set by test set."""
    section = Section("costs", "Cost")
    for test in inputs.tests:
        if len(inputs.tests) > 1:
            section.heading(test.title)
        _costs(section, test)
    return section


def write_curves(inputs: ReportInputs) -> Section:
    """Learning curves, test set by test set and student by student."""
    section = Section("curves", "Learning curves")
    for test in inputs.tests:
        if len(inputs.tests) > 1:
            section.heading(test.title)
        for student in dict.fromkeys(student_of(group) for group in test.groups):
            _curves(section, test, student)
    return section


def _costs(section: Section, test: TestSet) -> None:
    finished = {
        run.folder.path: result
        for group in test.groups
        for run in group.runs.values()
        if (result := run.folder.result()) is not None
    }
    results = dict(zip(finished, with_one_latency(list(finished.values())), strict=True))
    own = [results.get(any_run(group).folder.path, {}) for group in test.groups]
    rows = figures.bubble_rows(list(results.values()))
    described = "; ".join(
        f"{test.title_of(group)}: {_cost_words(result)}"
        for group, result in zip(test.groups, own, strict=True)
    )
    section.figure(
        figures.bubble(rows, dark=False),
        f"Bubbles of parameters against test top-1, area by latency. {described}.",
        "Parameters against test top-1, a bubble for every run; its area is the median latency of "
        "a single image on the processor that measured it, one with a ring is a "
        "network that taught, which is not needed after training. Latencies of different machines "
        "are not to be compared.",
    )
    cells: list[list[Cell]] = [
        [
            (test.title_of(group), student_of(group)),
            count(result.get("parameters")),
            count(result.get("macs")),
            _number(result.get("latency_ms"), 1, "ms"),
            _number(result.get("file_bytes"), 1e-6, "MB"),
            " × ".join(str(side) for side in result.get("map") or ()) or UNKNOWN,
            _number(result.get("seconds"), 1 / 60, "min"),
        ]
        for group, result in zip(test.groups, own, strict=True)
    ]
    section.table(
        "Costs of the student of one seed, and how long its training took with all that taught it.",
        [
            *("Arm", "Parameters", "Multiply-adds", "Latency, batch 1", "File"),
            *("Last map", "Training"),
        ],
        cells,
        [group.arm for group in test.groups],
    )


def _curves(section: Section, test: TestSet, student: str) -> None:
    runs = {
        _curve_name(test, group, seed): run.folder.metrics()
        for group in test.groups
        if student_of(group) == student
        for seed, run in group.runs.items()
    }
    if not any(runs.values()):
        section.missing(f"No learning curves are kept of the runs of {student}.")
        return
    last = ", ".join(
        f"{name} {percent(rows[-1].get('val_top1'))}" for name, rows in runs.items() if rows
    )
    section.panels(
        partial(figures.learning_curves, runs),
        f"Learning curves of {student}; validation top-1 after the last epoch: {last}.",
        f"Student {student}: top-1 on the validation split and training loss by epoch; a dashed "
        "line trains another network on the way to the student. Losses of different arms have "
        "different terms: their heights are not to be compared.",
    )


def _curve_name(test: TestSet, group: ArmRuns, seed: int) -> str:
    return f"{test.key_of(group)}-s{seed}"


def _cost_words(result: Mapping[str, Any]) -> str:
    return (
        f"{count(result.get('parameters'))} parameters, "
        f"{_number(result.get('latency_ms'), 1, 'ms')}"
    )


def _number(value: float | None, scale: float, unit: str) -> str:
    return UNKNOWN if value is None else f"{three_digits(scale * value)}\u00a0{unit}"
