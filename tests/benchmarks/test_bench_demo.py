"""The benchmark measures real processes."""

from __future__ import annotations

import pytest

from benchmarks.demo import measure_study
from dait.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_the_tiny_study_has_a_duration_and_a_peak() -> None:
    figures = measure_study("tiny", epochs=1)

    assert figures["study_s"] > 0
    assert figures["study_peak_mib"] > 50


def test_a_study_that_fails_says_why() -> None:
    with pytest.raises(UserError, match="There is no recipe called 'tinny'"):
        measure_study("tinny")
