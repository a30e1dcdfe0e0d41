"""Which images match what a visitor asks for, against masks written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dait.evidence.selection import (
    ImageFilter,
    disputed,
    largest_gain,
    matching,
    nearest_to_class,
    spread,
    surest_confusion,
)

LABELS = np.array([0, 0, 1, 1, 2, 2])
ANSWERS = {"ours": [0, 0, 1, 0, 1, 2], "theirs": [0, 1, 1, 1, 1, 0]}
LOGITS = {key: np.eye(3)[found] for key, found in ANSWERS.items()}
SLICES = {"habitat": np.array(["snow", "marsh", "snow", "snow", "marsh", "marsh"])}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ImageFilter(), [0, 1, 2, 3, 4, 5]),
        (ImageFilter(right=("ours",), wrong=("theirs",)), [1, 5]),
        (ImageFilter(right=("theirs",), wrong=("ours",)), [3]),
        (ImageFilter(right=("ours", "theirs")), [0, 2]),
        (ImageFilter(wrong=("ours", "theirs")), [4]),
        (ImageFilter(right=("ours",), wrong=("ours",)), []),
        (ImageFilter(label=1), [2, 3]),
        (ImageFilter(part=("habitat", "marsh")), [1, 4, 5]),
        (ImageFilter(right=("ours",), label=2, part=("habitat", "marsh")), [5]),
    ],
)
def test_an_image_must_be_all_that_is_wanted(wanted: ImageFilter, found: list[int]) -> None:
    assert matching(LOGITS, LABELS, SLICES, wanted).tolist() == found
    assert wanted.anything == (len(found) == 6)


def test_few_of_many_come_from_every_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2])
    assert spread(np.arange(6), labels, 4) == [0, 1, 4, 5]
    assert spread(np.array([3, 1]), labels, 4) == [1, 3]
    assert spread(np.array([], dtype=np.int64), labels, 4) == []


MARKED = np.array([0, 0, 0, 1, 1])
OURS = np.array([[2.0, 1, 0], [0, 1, 0], [0, 9, 0], [0, 3, 1], [0, 1, 5]])


def test_the_surest_of_a_cell() -> None:
    assert surest_confusion(OURS, MARKED, [0], [1]) == 2
    assert surest_confusion(OURS, MARKED, [0], [0]) == 0
    assert surest_confusion(OURS, MARKED, [0, 1], [2]) == 4
    assert surest_confusion(OURS, MARKED, [0], [2]) is None


def test_where_the_one_ahead_is_most_ahead() -> None:
    theirs = np.array([[0.0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 9, 0], [0, 9, 0]])
    assert largest_gain(OURS, theirs, MARKED, 0) == 0  # ours has one right of three, theirs none
    assert largest_gain(OURS, theirs, MARKED, 1) == 4  # theirs has both, ours one
    assert largest_gain(OURS, theirs, MARKED, 2) is None


def test_the_image_of_a_class_that_is_nearest_to_another_one() -> None:
    features = np.array([[1.0, 0], [1, 0.2], [3, 2], [0, 1], [0.1, 4]])
    assert nearest_to_class(features, MARKED, 0, 1) == 2
    assert nearest_to_class(features, MARKED, 1, 0) == 4
    assert nearest_to_class(features, MARKED, 0, 2) is None


def test_the_most_disputed_image_comes_first() -> None:
    labels = np.array([0, 0, 0, 0])
    # Image 0: all right; 1: one is a little wrong; 2: one is surely wrong; 3: all wrong.
    sure, unsure, wrong = [8.0, 0.0], [0.1, 0.0], [0.0, 8.0]
    logits = {
        "one": np.array([sure, [0.0, 0.1], sure, wrong]),
        "other": np.array([sure, unsure, wrong, wrong]),
    }
    assert disputed(logits, labels).tolist() == [2, 1]
    assert disputed({"one": logits["one"]}, labels).tolist() == []
    # Of two alike the first comes first, whatever the order of the networks.
    twice = {name: np.concatenate([own[2:3], own[2:3]]) for name, own in logits.items()}
    for order in (twice, dict(reversed(twice.items()))):
        assert disputed(order, labels[:2]).tolist() == [0, 1]
