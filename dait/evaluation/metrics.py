"""Figures of merit from logits and labels: accuracy, calibration, paired comparisons.

Every share is a fraction in [0, 1]. Functions of arrays alone, which import NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dait.errors import UserError

RESAMPLES = 1000
BINS = 15


class McNemar(NamedTuple):
    """A paired comparison of two arms on the same images.

    ``only_a`` and ``only_b`` count the images that one arm alone got right; ``p`` is the exact
    two-sided p-value that both arms are equally good.
    """

    only_a: int
    only_b: int
    p: float


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


@dataclass(frozen=True)
class ClassGains:
    """How much more of each class one arm gets right than another, over ``seeds`` seeds.

    All are ``(C,)`` and NaN for a class without images. ours, theirs: mean accuracies; gain: the
    mean of their differences seed by seed; sd: its standard deviation, NaN for one seed; count: the
    class's images.
    """

    ours: np.ndarray
    theirs: np.ndarray
    gain: np.ndarray
    sd: np.ndarray
    count: np.ndarray
    seeds: int


def evaluate_logits(
    logits: np.ndarray, labels: np.ndarray, slices: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """Everything that ``result.json`` says of a prediction.

    logits: ``(N, C)``; labels: ``(N,)`` integers in [0, C); slices: names to ``(N,)`` values.
    Returns ``top1``, ``top5``, ``mean_per_class``, ``macro_f1``, ``ece``, ``top1_interval``
    [low, high], ``n_test`` and ``slices`` {name: {value: top1}}, all plain Python numbers.
    Raises ``UserError`` where there is no image or an output is not finite, ``ValueError`` where
    the shapes do not fit.
    """
    logits, labels = _checked(logits, labels)
    correct = top_k_correct(logits, labels, 1)
    predicted = logits.argmax(axis=1)
    return {
        "top1": float(correct.mean()),
        "top5": float(top_k_correct(logits, labels, 5).mean()),
        "mean_per_class": mean_per_class(predicted, labels),
        "macro_f1": macro_f1(predicted, labels),
        "ece": expected_calibration_error(logits, labels),
        "top1_interval": list(bootstrap_interval(correct)),
        "n_test": len(labels),
        "slices": accuracy_by_slice(correct, slices or {}),
    }


def top_k_correct(logits: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """``(N,)`` bool: the label is among the ``k`` largest of its row of ``(N, C)`` logits.

    Ties go to the lower class index, as with argmax; with fewer than ``k`` classes all count.
    """
    best = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return (best == labels[:, None]).any(axis=1)


def mean_per_class(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the classes present in ``labels`` of each one's accuracy (Aircraft's way)."""
    true, counts, _ = _counts_of_present(predicted, labels)
    return float(np.mean(true / counts))


def macro_f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The mean F1 over the classes present in ``labels``.

    A class that is only ever predicted would count as zero for some arms and not for others, so
    the classes are those of the labels: the same for every arm.
    """
    true, counts, guessed = _counts_of_present(predicted, labels)
    return float(np.mean(2 * true / (counts + guessed)))


def expected_calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """ECE with ``bins`` bins of equal width on the top-1 probability (Guo et al. 2017)."""
    return reliability(logits, labels, bins).error


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


def bootstrap_interval(
    correct: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of an accuracy; ``correct`` is ``(N,)`` bool.

    Drawing N answers with replacement gives Binomial(N, accuracy) right ones, so the count is
    drawn at once: the same bootstrap, without an N × resamples table.
    """
    n = len(correct)
    rng = np.random.default_rng(seed)
    accuracies = rng.binomial(n, float(np.mean(correct)), size=resamples) / n
    low, high = np.quantile(accuracies, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> McNemar:
    """McNemar's exact binomial test of two ``(N,)`` bool arrays over the same images, in order.

    Raises ``ValueError`` where the arrays differ in length.
    """
    if correct_a.shape != correct_b.shape:
        raise ValueError(f"different images: {correct_a.shape} and {correct_b.shape}")
    a, b = correct_a.astype(bool), correct_b.astype(bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return McNemar(only_a, only_b, _fair_coin_p(min(only_a, only_b), only_a + only_b))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction for as many tests (Holm 1979), in the same order."""
    count, largest = len(p_values), 0.0
    corrected = [0.0] * count
    for rank, place in enumerate(sorted(range(count), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (count - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """``(C,)``: how many images each class has."""
    return np.bincount(labels, minlength=classes)


def class_accuracy(correct: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """``(C,)``: the fraction of each class's images that are right, NaN for one without images.

    correct: ``(N,)`` bool; labels: ``(N,)`` class indices.
    """
    count = class_counts(labels, classes)
    right = np.bincount(labels, weights=correct, minlength=classes)
    return np.divide(right, count, out=np.full(classes, np.nan), where=count > 0)


def class_gains(
    ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], labels: np.ndarray, classes: int
) -> ClassGains:
    """The gains of one arm over another.

    ours, theirs: for each seed, which of the N images an arm has right, ``(N,)`` bool, the same
    seeds in the same order. Raises ``ValueError`` where there is no seed or they do not pair up.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} seeds do not pair up")
    a = np.stack([class_accuracy(correct, labels, classes) for correct in ours])
    b = np.stack([class_accuracy(correct, labels, classes) for correct in theirs])
    several = len(a) > 1
    sd = (a - b).std(axis=0, ddof=1) if several else np.full(classes, np.nan)
    return ClassGains(
        ours=a.mean(axis=0),
        theirs=b.mean(axis=0),
        gain=(a - b).mean(axis=0),
        sd=sd,
        count=class_counts(labels, classes),
        seeds=len(a),
    )


def accuracy_by_slice(
    correct: np.ndarray, slices: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """{slice name: {value: accuracy}} of ``(N,)`` answers, values in sorted order."""
    table: dict[str, dict[str, float]] = {}
    for name, values in slices.items():
        values = np.asarray(values)
        if len(values) != len(correct):
            raise ValueError(f"slice {name!r} has {len(values)} values for {len(correct)} images")
        table[name] = {
            str(value): float(correct[values == value].mean()) for value in np.unique(values)
        }
    return table


def _fair_coin_p(fewer: int, tosses: int) -> float:
    """The two-sided p-value that a fair coin falls ``fewer`` times or less on either side.

    In whole numbers, so exact; without SciPy, which takes seconds to import and is needed for
    nothing else in the table that a visitor sees first.
    """
    tail = ways = 1
    for heads in range(fewer):
        ways = ways * (tosses - heads) // (heads + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**tosses)


def _counts_of_present(
    predicted: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of the P classes in ``labels``, ``(P,)``: images right, images, images called it."""
    present = np.unique(labels)
    size = int(max(labels.max(), predicted.max())) + 1
    true = np.bincount(labels[predicted == labels], minlength=size)
    counts, guessed = np.bincount(labels, minlength=size), np.bincount(predicted, minlength=size)
    return true[present], counts[present], guessed[present]


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits {logits.shape} and labels {labels.shape} do not fit")
    if not len(labels):
        raise UserError(
            "There is no image to evaluate: the split is empty. Give it at least one image."
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels from {labels.min()} to {labels.max()} for {logits.shape[1]} classes"
        )
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"The network's outputs are not finite for {bad} of {len(labels)} images, so its "
            "training diverged. Train it again with a lower learning rate."
        )
    return logits, labels
