"""How sure a network is, beside how often it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Predictions sorted into bins of equal width by their top-1 probability, ``(B,)`` each.

    count: answers in a bin; confidence: their mean top-1 probability; accuracy: the fraction of
    them that is right. The last two are NaN where a bin is empty.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over the answers of their bin's gap."""
        gaps = np.abs(np.nan_to_num(self.accuracy - self.confidence))
        return float((gaps * self.count).sum() / self.count.sum())


def reliability(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """The bins of a reliability diagram (Guo et al. 2017) of ``(N, C)`` logits."""
    logits = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidence = shifted.max(axis=1) / shifted.sum(axis=1)
    correct = logits.argmax(axis=1) == labels
    # Right-closed bins, so that a confidence of exactly 1 falls into the last one.
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    sums = (np.bincount(bin_of, weights=values, minlength=bins) for values in (confidence, correct))
    none = np.full(bins, np.nan)
    means = (np.divide(total, count, out=none.copy(), where=count > 0) for total in sums)
    return Reliability(count, *means)
