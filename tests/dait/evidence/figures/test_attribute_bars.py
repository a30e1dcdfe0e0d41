"""The attributes' bars: right lengths, intervals and chance, from top to bottom as measured."""

from __future__ import annotations

import json

import pytest

from dait.evaluation.results.probes import AttributeFigures, AttributeScore, Proportion
from dait.evidence.figures import attribute_bars


def row(name: str, values: int, species: float, birds: float) -> AttributeFigures:
    species_score, birds_score = (
        AttributeScore(
            accuracy=Proportion(value=value, low=value - 0.1, high=value + 0.05, count=1000),
            majority=0.4,
        )
        for value in (species, birds)
    )
    return AttributeFigures(name=name, values=values, species=species_score, birds=birds_score)


ROWS = [row("crown", 6, 0.5, 0.6), row("wing", 4, 0.3, 0.2)]


def test_bars_intervals_and_chance() -> None:
    figure = attribute_bars(ROWS)
    birds, species, chance = figure.data
    assert (birds.name, species.name, chance.name) == ("new birds", "the species at test", "chance")
    assert species.x == pytest.approx((0.5, 0.3)) and birds.x == pytest.approx((0.6, 0.2))
    assert species.error_x.array == pytest.approx((0.05, 0.05))
    assert species.error_x.arrayminus == pytest.approx((0.1, 0.1))
    assert chance.x == pytest.approx((1 / 6, 1 / 4))
    assert "most common value 40.0 %" in species.customdata[0]


def test_the_first_attribute_is_on_top() -> None:
    assert attribute_bars(ROWS).layout.yaxis.categoryarray == ("wing", "crown")


def test_it_fits_any_page() -> None:
    layout = attribute_bars(ROWS).layout
    assert layout.autosize is True and layout.width is None
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert layout.uirevision == "attributes" and layout.legend.orientation == "h"
    inks = {attribute_bars(ROWS, dark=dark).layout.font.color for dark in (None, False, True)}
    assert len(inks) == 3
    json.loads(attribute_bars(ROWS).to_json())


@pytest.mark.parametrize("rows", [None, []])
def test_without_attributes_it_says_so(rows: list[AttributeFigures] | None) -> None:
    figure = attribute_bars(rows)
    assert not figure.data and "No attribute" in figure.layout.annotations[0].text
