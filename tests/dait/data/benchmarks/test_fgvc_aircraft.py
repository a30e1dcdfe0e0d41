"""FGVC-Aircraft: three ways to label it, its own validation split, and no banner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from miniatures import Mini

from dait.data.folders.dataset import ImageFileDataset
from dait.errors import UserError

MakeMini = Callable[..., Mini]
ARCHIVE = "fgvc-aircraft-2013b.tar.gz"
DATA = "fgvc-aircraft-2013b/data"
pytestmark = pytest.mark.usefixtures("own_cache")


def test_the_three_ways_to_label_it(mini: MakeMini) -> None:
    made = mini("fgvc-aircraft")
    assert made.benchmark.variants == ("variant", "family", "manufacturer")
    listing = made.listing("variant")
    assert listing.name == "fgvc-aircraft:variant"
    assert [(info.key, info.name, info.group) for info in listing.classes] == [
        ("737-700", "737-700", "Boeing"),
        ("F-A-18", "F/A-18", "McDonnell Douglas"),
        ("737-800", "737-800", "Boeing"),
    ]
    family = made.listing("family")
    assert [(info.name, info.group) for info in family.classes] == [
        ("Boeing 737", "Boeing"),
        ("F/A-18", "McDonnell Douglas"),
    ]
    maker = made.listing("manufacturer")
    assert [(info.name, info.group) for info in maker.classes] == [
        ("Boeing", None),
        ("McDonnell Douglas", None),
    ]
    for split in ("train", "val", "test"):
        ids = {tuple(e.id for e in one.splits[split]) for one in (listing, family, maker)}
        assert len(ids) == 1


def test_the_validation_split_is_the_published_one(mini: MakeMini) -> None:
    listing = mini("fgvc-aircraft").listing()
    images = [entry.id for entry in listing.splits["val"]]
    assert images == [f"images/{1_000_000 + n}.jpg" for n in (3, 4, 5, 12, 13, 14)]
    assert listing.notes == ()


def test_the_banner_is_cut_off_and_the_box_follows(mini: MakeMini) -> None:
    listing = mini("fgvc-aircraft").listing()
    entry = listing.splits["test"][0]
    assert entry.box == (0, 2, 40, 38) and entry.trim == (0, 0, 0, 20)
    split = ImageFileDataset(listing, 40).split("test")
    # 40 × 60 with a white banner of 20 below red: what is left is 40 × 40 of red.
    assert split.images[..., 1].max() < 40 and split.images[..., 0].min() > 150
    assert split.boxes is not None
    np.testing.assert_allclose(split.boxes[0], (0, 2, 40, 38))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {f"{DATA}/images_variant_val.txt": b"1000003 Concorde\n"},
            "‘Concorde’ has no line in variants.txt",
        ),
        (
            {f"{DATA}/images_manufacturer_val.txt": b"1000004 Boeing\n"},
            "‘1000003’ has no manufacturer",
        ),
        (
            {f"{DATA}/variants.txt": b"737-700\nF/A-18\n737-800\nConcorde\n"},
            "‘Concorde’ has no image",
        ),
        ({f"{DATA}/images_variant_train.txt": b"1000000\n"}, "line 1 has 1 columns"),
        ({f"{DATA}/images_variant_train.txt": None}, "images_variant_train.txt’ is missing"),
    ],
)
def test_lists_that_do_not_fit(
    mini: MakeMini, changes: dict[str, bytes | None], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        mini("fgvc-aircraft", {ARCHIVE: changes}).listing()
