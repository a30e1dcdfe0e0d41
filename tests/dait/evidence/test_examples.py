"""The image that a click on a cell or a bar opens."""

from __future__ import annotations

import numpy as np

from dait.evidence.examples import of_confusion, of_gain, of_similarity

LABELS = np.array([0, 0, 0, 1, 1])
LOGITS = np.array([[2.0, 1, 0], [0, 1, 0], [0, 9, 0], [0, 3, 1], [0, 1, 5]])


def test_the_surest_of_a_cell() -> None:
    assert of_confusion(LOGITS, LABELS, [0], [1]) == 2
    assert of_confusion(LOGITS, LABELS, [0], [0]) == 0
    assert of_confusion(LOGITS, LABELS, [0, 1], [2]) == 4
    assert of_confusion(LOGITS, LABELS, [0], [2]) is None


def test_where_the_one_ahead_is_most_ahead() -> None:
    theirs = np.array([[0.0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 9, 0], [0, 9, 0]])
    assert of_gain(LOGITS, theirs, LABELS, 0) == 0  # ours has one right of three, theirs none
    assert of_gain(LOGITS, theirs, LABELS, 1) == 4  # theirs has both, ours one
    assert of_gain(LOGITS, theirs, LABELS, 2) is None


def test_the_image_of_a_class_that_is_nearest_to_another_one() -> None:
    features = np.array([[1.0, 0], [1, 0.2], [3, 2], [0, 1], [0.1, 4]])
    assert of_similarity(features, LABELS, 0, 1) == 2
    assert of_similarity(features, LABELS, 1, 0) == 4
    assert of_similarity(features, LABELS, 0, 2) is None
