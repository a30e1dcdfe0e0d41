"""CUB-200-2011: names, boxes, the masks of five people, and lists that do not fit together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from file_server import FileServer
from miniatures import Mini

from dait.data.folders.dataset import ImageFileDataset
from dait.errors import UserError

MakeMini = Callable[..., Mini]
ARCHIVE = "CUB_200_2011.tgz"
pytestmark = pytest.mark.usefixtures("own_cache")


def test_names_boxes_and_masks(mini: MakeMini) -> None:
    listing = mini("cub-200-2011").listing()
    assert [info.name for info in listing.classes] == [
        "Black footed Albatross",
        "Laysan Albatross",
        "Brewer Blackbird",
    ]
    assert listing.classes[0].key == "001.Black_footed_Albatross"
    test = listing.splits["test"]
    assert [entry.id for entry in test][1] == (
        "002.Laysan_Albatross/Laysan_Albatross_0004_796004.jpg"
    )
    assert {entry.box for entry in test} == {(6.0, 5.0, 18.0, 15.0)}
    data = ImageFileDataset(listing, 20)
    split = data.split("test")
    assert split.masks is not None and data.part_names == ("object",)
    # In 24 × 20 pixels the middle 12 × 8 is bird; the centre square loses 2 columns a side.
    assert split.masks.reshape(3, -1).sum(axis=1).tolist() == [96, 96, 96]
    assert split.boxes is not None
    np.testing.assert_allclose(split.boxes[0], (4, 5, 16, 15))
    assert len(np.unique(split.images[1] - split.images[1][..., :1])) == 1  # the grey one is grey


def test_it_does_without_its_masks(mini: MakeMini, server: FileServer) -> None:
    made = mini("cub-200-2011")
    del server.files["/cub-200-2011/segmentations.tgz"]
    heard: list[object] = []
    listing = made.listing(emit=heard.append)
    assert all(entry.mask is None for entry in listing.splits["train"])
    assert any("is used without ‘segmentations.tgz’" in str(event) for event in heard)
    asked = len(server.asked)
    made.listing()
    assert len(server.asked) == asked  # what is optional is not asked for again


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("image_class_labels.txt", b"1 4\n", "the class 4, but there are 3 classes"),
        ("image_class_labels.txt", b"1 0\n", "the class 0, but there are 3 classes"),
        ("image_class_labels.txt", b"1 bird\n", "‘bird’ is no class number"),
        ("image_class_labels.txt", b"2 1\n", "‘1’ has no line in image_class_labels"),
        ("image_class_labels.txt", b"1 1\n1 2\n", "names something twice"),
        ("train_test_split.txt", b"1 2\n", "‘1’ has 2, neither 0 nor 1"),
        ("bounding_boxes.txt", b"1 a b c d\n", "a b c d of ‘1’ are not four numbers"),
        ("bounding_boxes.txt", b"1 5 5\n", "line 1 has 3 columns, not 5"),
        ("images.txt", b"1 ../../secret.jpg\n", "is no path inside"),
        ("images.txt", b"1 /etc/passwd\n", "is no path inside"),
        ("images.txt", b"", "it is empty"),
        ("images.txt", b"\xff\xfe\x00", "cannot be read as text"),
        ("images.txt", b"1 a/b.jpg\n2 a/b.jpg\n", "name ‘a/b.jpg’ more than once"),
        ("classes.txt", b"2 001.A\n", "not numbered from 1"),
    ],
)
def test_lists_that_do_not_fit(mini: MakeMini, file: str, text: bytes, words: str) -> None:
    made = mini("cub-200-2011", {ARCHIVE: {f"CUB_200_2011/{file}": text}})
    with pytest.raises(UserError, match=words):
        made.listing()
