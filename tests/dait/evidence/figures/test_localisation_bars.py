"""The localisation bars: right lengths, intervals, seeds, and the area share across."""

from __future__ import annotations

import json

import pytest

from dait.config.arms import arm_title
from dait.evaluation.results.localisation import (
    ArmLocalisation,
    MeanInterval,
    Measurement,
    Settings,
)
from dait.evidence.figures.localisation import localisation_bars
from dait.evidence.palette import arm_colour


def estimate(value: float) -> MeanInterval:
    return MeanInterval(value=value, low=value - 0.02, high=value + 0.03, count=400)


def arm(role: str, mass: float, part: float, seeds: tuple[int, ...]) -> ArmLocalisation:
    return ArmLocalisation(
        role=role,
        title=arm_title(role),
        method="gradcam",
        seeds=seeds,
        estimates={"mass": estimate(mass), "part_mass": estimate(part)},
        by_seed={"mass": tuple(mass + 0.01 * s for s in seeds) or (mass,), "part_mass": (part,)},
        empty=0,
    )


def measurement(parts: bool = True) -> Measurement:
    arms = [
        arm("vlm", 0.5, 0.2, ()),
        arm("direct", 0.35, 0.12, (0, 1)),
        arm("dait", 0.45, 0.16, (0,)),
    ]
    if not parts:
        arms = [a.model_copy(update={"estimates": {"mass": a.estimates["mass"]}}) for a in arms]
    return Measurement(
        settings=Settings(),
        data="fieldguide",
        image_size=96,
        sample=500,
        area=estimate(0.19),
        part_area=estimate(0.06) if parts else None,
        networks=(),
        arms=tuple(arms),
        differences=(),
    )


def test_bars_intervals_and_seeds() -> None:
    figure = localisation_bars(measurement())
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [bar.y[0] for bar in bars] == pytest.approx([0.5, 0.35, 0.45, 0.2, 0.12, 0.16])
    assert [bar.marker.color for bar in bars[:3]] == [
        arm_colour(role) for role in ("vlm", "direct", "dait")
    ]
    assert bars[0].error_y.array[0] == pytest.approx(0.03)
    assert bars[0].error_y.arrayminus[0] == pytest.approx(0.02)
    assert "35.0 %" in bars[1].hovertemplate and "33.0 % to 38.0 %" in bars[1].hovertemplate
    seeds = [t for t in figure.data if t.type == "scatter" and "one seed" in t.hovertemplate]
    assert [tuple(dots.y) for dots in seeds] == [pytest.approx((0.35, 0.36))]
    assert {bar.xaxis for bar in bars} == {"x", "x2"}


def test_the_area_share_goes_across_each_panel() -> None:
    lines = localisation_bars(measurement()).layout.shapes
    assert [(line.y0, line.y1, line.line.dash) for line in lines] == [
        (0.19, 0.19, "dash"),
        (0.06, 0.06, "dash"),
    ]


def test_without_parts_there_is_one_panel() -> None:
    figure = localisation_bars(measurement(parts=False))
    assert {trace.xaxis for trace in figure.data if trace.type == "bar"} == {"x"}
    assert len(figure.layout.shapes) == 1


def test_panels_stack_on_a_narrow_page_and_fit_any() -> None:
    wide, narrow = (localisation_bars(measurement(), columns=columns) for columns in (2, 1))
    assert narrow.layout.height > wide.layout.height
    assert wide.layout.autosize is True and wide.layout.width is None
    assert wide.layout.uirevision == "localisation"
    inks = {localisation_bars(measurement(), dark=d).layout.font.color for d in (None, False, True)}
    assert len(inks) == 3
    json.loads(wide.to_json())


def test_without_a_measurement_it_says_so() -> None:
    figure = localisation_bars(None)
    assert not figure.data and "not measured" in figure.layout.annotations[0].text
