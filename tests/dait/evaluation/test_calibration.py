"""The bins of a reliability diagram, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from dait.evaluation.calibration import reliability
from dait.evaluation.metrics import expected_calibration_error


def test_bins_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(500, 4)) * 2, rng.integers(0, 4, 500)
    found = reliability(logits, labels)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right, sure = calibration_curve(
        logits.argmax(axis=1) == labels, shares.max(axis=1), n_bins=15, strategy="uniform"
    )
    filled = found.count > 0
    np.testing.assert_allclose(found.accuracy[filled], right)
    np.testing.assert_allclose(found.confidence[filled], sure)
    assert np.isnan(found.accuracy[~filled]).all() and not filled[:3].any()
    assert found.count.sum() == 500
    gaps = np.abs(right - sure) * found.count[filled]
    assert found.error == pytest.approx(gaps.sum() / 500)
    assert found.error == expected_calibration_error(logits, labels)


def test_certainty_falls_into_the_last_bin() -> None:
    found = reliability(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 0]))
    assert found.count.tolist() == [0] * 14 + [2]
    assert (found.confidence[-1], found.accuracy[-1], found.error) == (1.0, 0.5, 0.5)
