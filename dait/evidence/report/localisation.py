"""Where the networks look, as figures over many images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dait.config.arms import arm_title
from dait.evaluation.results.localisation import FIGURES, MeanInterval, Measurement
from dait.evidence import figures
from dait.evidence.report.inputs import ReportInputs
from dait.evidence.report.section import Cell, Section
from dait.evidence.wording import interval, percent, points

_TARGETS = {"true": "the true class", "predicted": "the class that each network predicts"}


def write(inputs: ReportInputs) -> Section:
    """Shares of relevance on the object and its parts, by study or run."""
    section = Section("localisation", "Where the networks look: figures")
    for title, found in inputs.localised.items():
        if len(inputs.folders) > 1:
            section.heading(title)
        _of_one(section, found)
    for title in inputs.folders:
        if title not in inputs.localised:
            reasons = [row.reason for row in inputs.left_out if row.what.startswith(f"{title},")]
            section.missing(f"{title}: not measured. {' '.join(reasons)}")
    return section


def _of_one(section: Section, found: Measurement) -> None:
    described = ", ".join(
        f"{arm.title} {percent(arm.estimates['mass'].value)}"
        for arm in found.arms
        if "mass" in arm.estimates
    )
    area = "" if found.area is None else f"; the object covers {percent(found.area.value)}"
    section.panels(
        partial(figures.localisation_bars, found),
        f"Bars of the share of a heatmap's relevance that lies on the object: {described}{area}.",
        f"Share of the raw heatmap's relevance on the object, and on the parts that tell it from "
        f"its relatives where these are known; {found.sample:,} test images, heatmaps of "
        f"{_TARGETS[found.settings.target]}. The dashed line is the object's share of the image, "
        "which a map that is the same everywhere scores. Looking at the object does not make an "
        "answer right, and a coarse map spills over the object's edge.",
    )
    names = [name for name in FIGURES if any(name in arm.estimates for arm in found.arms)]
    rows: list[list[Cell]] = [
        [(arm.title, arm.method), *[_cell(arm.estimates.get(name)) for name in names]]
        for arm in found.arms
    ]
    heads = [_head(name, found) for name in names]
    section.table(
        "Means over images (of the seeds' means), with 95 % bootstrap intervals over images.",
        ["Network", *heads],
        rows,
        [arm.role for arm in found.arms],
    )
    _differences(section, found, names)
    empty = [f"{arm.title} {arm.empty}" for arm in found.arms if arm.empty]
    if empty:
        section.missing(
            f"Maps that are zero everywhere, counted and not scored: {', '.join(empty)}."
        )


def _differences(section: Section, found: Measurement, names: Sequence[str]) -> None:
    rows: list[list[Cell]] = [
        [
            f"{arm_title(row.first)} less {arm_title(row.second)}",
            *[_difference(row.estimates.get(name)) for name in names],
        ]
        for row in found.differences
    ]
    if rows:
        section.table(
            "Differences of two arms on the same images, in percentage points, with 95 % "
            "intervals: one that does not hold 0 is more than the choice of images. How much "
            "another training would change is not in it.",
            ["Pair", *[FIGURES[name].capitalize() for name in names]],
            rows,
        )


def _head(name: str, found: Measurement) -> str:
    area = {"mass": found.area, "part_mass": found.part_area}.get(name)
    title = "ROAD" if name == "road" else FIGURES[name].capitalize()
    return title if area is None else f"{title} (area {percent(area.value)})"


def _cell(estimate: MeanInterval | None) -> Cell:
    if estimate is None:
        return "–"
    return percent(estimate.value), interval((estimate.low, estimate.high))


def _difference(estimate: MeanInterval | None) -> Cell:
    if estimate is None:
        return "–"
    return points(estimate.value), f"{points(estimate.low)} to {points(estimate.high)}"
