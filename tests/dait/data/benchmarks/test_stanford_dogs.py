"""Stanford Dogs: three plain tars, XML without a suffix, and a PNG among the JPEGs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from miniatures import Mini, cells, mat

from dait.errors import UserError

MakeMini = Callable[..., Mini]


def test_names_and_boxes(mini: MakeMini) -> None:
    listing = mini("stanford-dogs").listing()
    assert [(info.key, info.name) for info in listing.classes] == [
        ("n02085620-Chihuahua", "Chihuahua"),
        ("n02099429-curly-coated_retriever", "curly-coated retriever"),
    ]
    entries = {entry.id: entry for split in listing.splits.values() for entry in split}
    assert len(entries) == 14 and len(listing.splits["test"]) == 4
    assert entries["n02085620-Chihuahua/n02085620_2933.jpg"].box == (2, 3, 12, 13)
    two = entries["n02099429-curly-coated_retriever/n02099429_2934.jpg"]
    assert two.box == (2, 1, 20, 13)  # around both dogs


def test_an_image_without_an_annotation_has_no_box(mini: MakeMini) -> None:
    gone = "Annotation/n02085620-Chihuahua/n02085620_2933"
    listing = mini("stanford-dogs", {"annotation.tar": {gone: None}}).listing()
    boxes = {entry.id: entry.box for split in listing.splits.values() for entry in split}
    assert boxes["n02085620-Chihuahua/n02085620_2933.jpg"] is None
    assert sum(box is None for box in boxes.values()) == 1


@pytest.mark.parametrize(
    ("archive", "member", "data", "words"),
    [
        ("lists.tar", "train_list.mat", b"MATLAB", "no MATLAB file"),
        (
            "lists.tar",
            "test_list.mat",
            mat(file_list=cells(["a/b.jpg"]), labels=np.array([[121]])),
            "the class 121, but there are 120",
        ),
        (
            "lists.tar",
            "test_list.mat",
            mat(file_list=cells(["a/b.jpg"]), labels=np.array([[1]])),
            "class 1 is both ‘n02085620-Chihuahua’ and ‘a’",
        ),
        (
            "lists.tar",
            "test_list.mat",
            mat(file_list=cells(["a/b.jpg", "a/c.jpg"]), labels=np.array([[1]])),
            "2 images but 1 labels",
        ),
        (
            "lists.tar",
            "test_list.mat",
            mat(file_list=cells(["a/b.jpg"]), labels=np.array([[9]])),
            "not numbered from 1",
        ),
        (
            "annotation.tar",
            "Annotation/n02085620-Chihuahua/n02085620_2933",
            b"<annotation></annotation>",
            "n02085620_2933’ .* it has no box",
        ),
    ],
)
def test_files_that_do_not_fit(
    mini: MakeMini, archive: str, member: str, data: bytes, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        mini("stanford-dogs", {archive: {member: data}}).listing()
