"""Which images match what a visitor asks for, against masks written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dait.evidence.selection import ImageFilter, matching, spread

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
