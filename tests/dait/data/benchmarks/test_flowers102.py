"""Flowers 102: numbers in MATLAB files, names of ours, splits as published."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from miniatures import FLOWERS, Mini, mat

from dait.errors import UserError

MakeMini = Callable[..., Mini]
COUNT = 3 * FLOWERS


def test_names_and_splits(mini: MakeMini) -> None:
    listing = mini("flowers-102").listing()
    assert len(listing.classes) == FLOWERS
    assert listing.classes[0].name == "pink primrose"
    assert listing.classes[-1].key == "102-blackberry-lily"
    assert len({info.name for info in listing.classes}) == FLOWERS
    assert not any("?" in info.name for info in listing.classes)
    for number, name in enumerate(("train", "val", "test")):
        first = listing.splits[name][0]
        assert first.id == f"jpg/image_{number * FLOWERS + 1:05d}.jpg" and first.label == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"imagelabels.mat": mat(labels=np.full((1, COUNT), 103))}, "the class 103, but there"),
        ({"imagelabels.mat": mat(labels=np.ones((1, 5)))}, "image 6 of 5 has no label"),
        ({"setid.mat": mat(trnid=[[1]], valid=[[2]])}, "no variable ‘tstid’"),
        (
            {"setid.mat": mat(trnid=[[1]], valid=[[1]], tstid=[[2]])},
            "name ‘jpg/image_00001.jpg’ more than once",
        ),
        (
            {"setid.mat": mat(trnid=[[1]], valid=[[3]], tstid=[[2]])},
            "No training image of the class ‘hard-leaved pocket orchid’",
        ),
    ],
)
def test_files_that_do_not_fit(mini: MakeMini, changes: dict[str, bytes], words: str) -> None:
    with pytest.raises(UserError, match=words):
        mini("flowers-102", changes).listing()
