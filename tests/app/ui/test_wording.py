"""Numbers in words."""

from __future__ import annotations

import pytest

from app.ui.wording import (
    count,
    duration,
    listed,
    megabytes,
    ordinal,
    p_value,
    percent,
    points,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (3, "less than a minute"),
        (70, "about a minute"),
        (236, "about 4 minutes"),
        (3500, "about an hour"),
        (5400, "about 1.5 hours"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_figures() -> None:
    assert percent(0.4237) == "42.4\u00a0%"
    assert (points(0.0321), points(-0.05), points(0.0001)) == ("+3.2", "−5.0", "±0.0")
    assert (p_value(0.0004), p_value(0.0321), p_value(0.5)) == ("<\u00a00.001", "0.032", "0.50")
    assert (count(1_234_567), count(33_844), count(12)) == ("1.23\u00a0M", "33.8\u00a0k", "12")
    assert megabytes(2_500_000) == "2.50 MB"
    assert {percent(None), points(None), p_value(None), count(None), megabytes(None)} == {"–"}


def test_names() -> None:
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"


def test_places_in_a_line() -> None:
    said = [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 111)]
    assert said == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "111th"]
