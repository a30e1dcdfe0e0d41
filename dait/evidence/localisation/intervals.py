"""Means over images with bootstrap intervals; images without a score are NaN."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from dait.evaluation.results.localisation import MeanInterval

RESAMPLES = 2000
LEVEL = 0.95


def mean_interval(values: np.ndarray, seed: int = 0) -> MeanInterval | None:
    """The mean of ``(N,)`` without its NaN, with the percentile bootstrap over images.

    None where nothing is left.
    """
    scored = values[np.isfinite(values)].astype(np.float64)
    if not len(scored):
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(scored), size=(RESAMPLES, len(scored)))
    low, high = np.quantile(scored[drawn].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return MeanInterval(value=float(scored.mean()), low=low, high=high, count=len(scored))


def over_seeds(runs: Sequence[np.ndarray]) -> np.ndarray:
    """Each image's mean over the runs that could score it, ``(N,)``; NaN where none could."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an image that no run could score
        mean: np.ndarray = np.nanmean(np.stack(runs).astype(np.float64), axis=0)
    return mean
