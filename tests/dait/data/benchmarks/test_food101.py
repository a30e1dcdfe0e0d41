"""Food-101: one archive with text lists."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from miniatures import Mini

from dait.errors import UserError

MakeMini = Callable[..., Mini]


def test_names_and_splits(mini: MakeMini) -> None:
    listing = mini("food-101").listing()
    assert [(info.key, info.name) for info in listing.classes] == [
        ("apple_pie", "Apple pie"),
        ("croque_madame", "Croque madame"),
    ]
    counts = {name: len(entries) for name, entries in listing.splits.items()}
    assert counts == {"train": 6, "val": 2, "test": 4}
    assert listing.splits["test"][0].id == "apple_pie/1005657"


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("meta/labels.txt", b"Apple pie\n", "1 names for 2 classes"),
        ("meta/test.txt", b"sushi/1\n", "‘sushi’ has no line in classes.txt"),
        ("meta/test.txt", b"apple_pie/../../1\n", "no path inside"),
        ("meta/test.txt", None, "has no|holds no|is missing"),
    ],
)
def test_lists_that_do_not_fit(mini: MakeMini, file: str, text: bytes | None, words: str) -> None:
    made = mini("food-101", {"food-101.tar.gz": {f"food-101/{file}": text}})
    with pytest.raises(UserError, match=words):
        made.listing()
