"""Confusions, accuracy class by class, gains and agreement, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from dait.evaluation.agreement import agreement
from dait.evaluation.confusion import (
    ConfusedPair,
    confusion_matrix,
    grouped_confusion,
    most_confused,
)
from dait.evaluation.per_class import class_accuracy, class_counts, class_gains

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


def test_class_accuracy_is_scikit_learns_recall() -> None:
    found = class_accuracy(PREDICTED == LABELS, LABELS, CLASSES)
    expected = metrics.recall_score(LABELS, PREDICTED, labels=range(4), average=None)
    np.testing.assert_allclose(found[:4], expected)
    assert np.isnan(found[4])
    assert class_counts(LABELS, CLASSES).tolist() == [*np.bincount(LABELS).tolist(), 0]


def test_gains_pair_seeds() -> None:
    labels = np.array([0, 0, 1, 1])
    ours = [np.array([1, 1, 0, 1], bool), np.array([1, 1, 1, 1], bool)]
    theirs = [np.array([1, 0, 1, 1], bool), np.array([0, 0, 0, 0], bool)]
    found = class_gains(ours, theirs, labels, 3)
    # Class 0: 1 − 1/2 and 1 − 0; class 1: 1/2 − 1 and 1 − 0; class 2 has no image.
    np.testing.assert_allclose(found.gain, [0.75, 0.25, np.nan])
    np.testing.assert_allclose(
        found.sd, [np.std([0.5, 1], ddof=1), np.std([-0.5, 1], ddof=1), np.nan]
    )
    np.testing.assert_allclose(found.ours, [1.0, 0.75, np.nan])
    np.testing.assert_allclose(found.theirs, [0.25, 0.5, np.nan])
    assert found.count.tolist() == [2, 2, 0] and found.seeds == 2
    one = class_gains(ours[:1], theirs[:1], labels, 2)
    assert one.gain.tolist() == [0.5, -0.5] and np.isnan(one.sd).all()
    with pytest.raises(ValueError, match="2 and 1 seeds"):
        class_gains(ours, theirs[:1], labels, 3)


def test_agreement_sorts_every_image_into_one_of_four() -> None:
    a, b = np.array([1, 1, 0, 0, 1], bool), np.array([1, 0, 1, 0, 0], bool)
    found = agreement(a, b)
    assert [part.tolist() for part in found] == [[0], [1, 4], [2], [3]]
    assert found.only_a.tolist() == agreement(b, a).only_b.tolist()
    with pytest.raises(ValueError, match="different images"):
        agreement(a, b[:-1])
