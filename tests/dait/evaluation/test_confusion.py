"""Confusions, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
from sklearn import metrics

from dait.evaluation.confusion import (
    ConfusedPair,
    confusion_matrix,
    grouped_confusion,
    most_confused,
)

CLASSES = 5
RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, CLASSES - 1, 60)  # no image of the last class
PREDICTED = np.where(RNG.random(60) < 0.5, LABELS, RNG.integers(0, CLASSES, 60))


def logits_of(predicted: list[int], lead: list[float]) -> np.ndarray:
    return np.eye(3)[predicted] * np.array(lead)[:, None]


def test_the_matrix_is_scikit_learns_with_every_class_in_it() -> None:
    matrix = confusion_matrix(PREDICTED, LABELS, CLASSES)
    expected = metrics.confusion_matrix(LABELS, PREDICTED, labels=range(CLASSES))
    np.testing.assert_array_equal(matrix, expected)
    assert not matrix[4].any() and matrix[:, 4].any()


def test_groups_add_up_their_classes() -> None:
    groups = ["wren", "owl", "wren", "owl", "duck"]
    names, matrix = grouped_confusion(confusion_matrix(PREDICTED, LABELS, CLASSES), groups)
    number = np.array([names.index(group) for group in groups])
    assert names == ["wren", "owl", "duck"]
    expected = metrics.confusion_matrix(number[LABELS], number[PREDICTED], labels=range(3))
    np.testing.assert_array_equal(matrix, expected)


def test_the_most_confused_pairs_come_with_the_images_of_the_surest_mistakes() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    logits = logits_of([1, 1, 1, 0, 1, 2, 1, 2], [2, 9, 4, 1, 1, 1, 1, 1])
    pairs = most_confused(logits, labels, examples=2)
    assert pairs == [
        ConfusedPair(0, 1, 3, 0.75, (1, 2)),
        # One image each: half of either class, so the lower class comes first.
        ConfusedPair(1, 2, 1, 0.5, (5,)),
        ConfusedPair(2, 1, 1, 0.5, (6,)),
    ]
    assert most_confused(logits, labels, pairs=1) == [ConfusedPair(0, 1, 3, 0.75, (1, 2, 0))]
    assert most_confused(np.eye(3)[labels], labels) == []


def test_every_confused_pair_is_counted_as_in_the_matrix() -> None:
    matrix = confusion_matrix(PREDICTED, LABELS, CLASSES)
    found = most_confused(np.eye(CLASSES)[PREDICTED], LABELS, pairs=CLASSES**2)
    assert {(pair.label, pair.predicted): pair.count for pair in found} == {
        (label, taken): matrix[label, taken]
        for label, taken in np.ndindex(CLASSES, CLASSES)
        if label != taken and matrix[label, taken]
    }
    for pair in found:
        assert pair.share == pair.count / matrix[pair.label].sum()


def test_pairs_among_very_many_classes_take_no_matrix_of_them() -> None:
    classes = 200_000  # a matrix would be 320 GB
    logits = np.zeros((3, classes), dtype=np.float32)
    logits[[0, 1, 2], [7, classes - 1, classes - 1]] = 1
    labels = np.array([7, 8, 8])
    assert most_confused(logits, labels) == [ConfusedPair(8, classes - 1, 2, 1.0, (1, 2))]
