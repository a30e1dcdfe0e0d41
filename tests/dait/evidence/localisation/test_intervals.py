"""Means with intervals, of images that may have no figure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from dait.evidence.localisation.intervals import RESAMPLES, mean_interval, over_seeds


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(0).beta(2, 5, size=200)
    found = mean_interval(values)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=1
    ).confidence_interval
    assert found is not None and found.value == pytest.approx(values.mean())
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_images_without_a_figure_are_left_out() -> None:
    values = np.array([0.2, np.nan, 0.4, np.nan])
    found = mean_interval(values)
    assert found is not None and (found.value, found.count) == (pytest.approx(0.3), 2)
    assert found.low == pytest.approx(0.2) and found.high == pytest.approx(0.4)
    assert mean_interval(np.array([np.nan])) is None


@pytest.mark.filterwarnings("error")
def test_an_image_counts_by_the_seeds_that_saw_something() -> None:
    runs = [np.array([0.2, np.nan, np.nan]), np.array([0.4, 0.5, np.nan])]
    found = over_seeds(runs)
    assert found[:2] == pytest.approx([0.3, 0.5]) and np.isnan(found[2])
