"""Oxford-IIIT Pet: trimaps, GIFs and MATLAB files among the JPEGs, and damaged ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from miniatures import Mini

from dait.data.folders.dataset import ImageFileDataset
from dait.errors import UserError

MakeMini = Callable[..., Mini]
pytestmark = pytest.mark.usefixtures("own_cache")


def test_names_and_species(mini: MakeMini) -> None:
    listing = mini("oxford-iiit-pet").listing()
    assert [(info.key, info.name, info.group) for info in listing.classes] == [
        ("Abyssinian", "Abyssinian", "cat"),
        ("american_bulldog", "american bulldog", "dog"),
        ("Egyptian_Mau", "Egyptian Mau", "cat"),
    ]
    assert listing.splits["test"][0].id == "images/Abyssinian_107.jpg"


def test_odd_files_are_read_and_damaged_ones_are_named(mini: MakeMini) -> None:
    data = ImageFileDataset(mini("oxford-iiit-pet").listing(), 20)
    ids = [name for split in ("train", "val", "test") for name in data.split(split).ids]
    assert "images/Egyptian_Mau_100.jpg" in ids  # a GIF
    (problem,) = data.problems
    assert problem.file == "images/american_bulldog_99.jpg" and "damaged" in problem.reason
    assert problem.file not in ids


def test_a_trimap_s_outline_is_pet(mini: MakeMini) -> None:
    split = ImageFileDataset(mini("oxford-iiit-pet").listing(), 20).split("test")
    assert split.masks is not None
    assert split.masks[0].sum() == 16 * 12  # pet and outline; the background has a value too


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"Abyssinian_1 1 1\n", "line 1 is not ‘image class species breed’"),
        (b"# a comment\nAbyssinian_1 1 3 1\n", "line 2 is not"),
        (b"Abyssinian_1 38 1 1\n", "the class 38, but there are 37"),
        (b"Abyssinian_1 2 1 1\n", "class 2 is both ‘american_bulldog’ and ‘Abyssinian’"),
        (b"Abyssinian_1 1 2 1\n", "class 1 is both ‘Abyssinian’ and ‘Abyssinian’"),
        (b"Sphynx_1 9 1 1\n", "not numbered from 1"),
        (b"../Abyssinian_1 1 1 1\n", "class 1 is both"),
    ],
)
def test_lists_that_do_not_fit(mini: MakeMini, text: bytes, words: str) -> None:
    changes = {"annotations.tar.gz": {"annotations/test.txt": text}}
    with pytest.raises(UserError, match=words):
        mini("oxford-iiit-pet", changes).listing()
