"""A folder as a data set: decoded once, bad files named, classes described."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dait.data.base import ClassInfo, Dataset, Problem
from dait.data.folders.folder import open_folder
from dait.errors import UserError
from dait.events import Event, Progress

Photos = Callable[[str, int], None]
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def two_classes(root: Path, photos: Photos) -> Path:
    for split in ("train", "val", "test"):
        photos(f"{split}/brown-bear", 3)
        photos(f"{split}/cat", 2)
    return root


def test_images_labels_and_ids_belong_together(two_classes: Path) -> None:
    dataset: Dataset = open_folder(two_classes, 16)
    assert dataset.counts() == {"train": 5, "val": 5, "test": 5}
    split = dataset.split("test")
    assert split.name == "test" and len(split) == 5 and split.masks is None
    assert split.images.shape == (5, 16, 16, 3) and split.images.dtype == np.uint8
    assert split.labels.tolist() == [0, 0, 0, 1, 1] and split.labels.dtype == np.int64
    for image, name in zip(split.images, split.ids, strict=True):
        with Image.open(two_classes / name) as photo:
            np.testing.assert_array_equal(image[3, 5], photo.getpixel((4, 4)))
    assert split.ids[3] == "test/cat/img1.png"
    assert dataset.classes == (ClassInfo("brown-bear", "brown bear"), ClassInfo("cat", "cat"))
    assert dataset.name == "photos" and dataset.problems == ()


def test_decoded_once_and_then_from_the_cache(two_classes: Path, own_cache: Path) -> None:
    heard: list[Event] = []
    first = open_folder(two_classes, 16, emit=heard.append)
    first.check()
    ends = [event for event in heard if isinstance(event, Progress) and event.done == event.total]
    assert [event.what.split()[2] for event in ends] == ["train", "val", "test"]
    assert len(list(own_cache.iterdir())) == 3
    heard.clear()
    again = open_folder(two_classes, 16, emit=heard.append)
    np.testing.assert_array_equal(again.split("train").images, first.split("train").images)
    assert heard == [] and again.split("train") is again.split("train")
    open_folder(two_classes, 24, emit=heard.append).split("train")
    assert heard


def test_the_fingerprint_follows_the_data(two_classes: Path, photos: Photos) -> None:
    seen = {open_folder(two_classes, 16).fingerprint}
    assert open_folder(two_classes, 16).fingerprint in seen
    seen.add(open_folder(two_classes, 17).fingerprint)
    os.utime(two_classes / "val" / "cat" / "img1.png", ns=(1, 1))
    seen.add(open_folder(two_classes, 16).fingerprint)
    photos("test/cat", 1)
    seen.add(open_folder(two_classes, 16).fingerprint)
    (two_classes / "classes.csv").write_text("class,coarse,description\ncat,pet,a cat\n")
    seen.add(open_folder(two_classes, 16).fingerprint)
    assert len(seen) == 5


def test_the_fingerprint_follows_the_split(root: Path, photos: Photos) -> None:
    photos("a", 10)
    photos("b", 10)
    seeds = {open_folder(root, 16, split_seed=seed).fingerprint for seed in range(3)}
    assert len(seeds) == 3


def test_a_changed_file_is_decoded_again(two_classes: Path) -> None:
    open_folder(two_classes, 16).split("test")
    Image.new("RGB", (50, 50), (1, 2, 3)).save(two_classes / "test" / "cat" / "img2.png")
    assert open_folder(two_classes, 16).split("test").images[4, 0, 0].tolist() == [1, 2, 3]


def test_bad_files_are_named_and_left_out(two_classes: Path) -> None:
    good = (two_classes / "train" / "cat" / "img1.png").read_bytes()
    (two_classes / "train" / "brown-bear" / "img2.png").write_bytes(good[: len(good) // 2])
    (two_classes / "train" / "cat" / "drawing.jpg").write_text("<svg/>")
    (two_classes / "val" / "cat" / "img1.png").write_bytes(b"")
    for dataset in (open_folder(two_classes, 16), open_folder(two_classes, 16)):
        assert dataset.problems == ()
        train = dataset.split("train")
        assert train.labels.tolist() == [0, 0, 1, 1] and len(train.images) == 4
        assert train.ids == tuple(
            f"train/{name}.png"
            for name in ("brown-bear/img1", "brown-bear/img3", "cat/img1", "cat/img2")
        )
        assert [problem.file for problem in dataset.problems] == [
            "train/brown-bear/img2.png",
            "train/cat/drawing.jpg",
        ]
        assert dataset.check()[-1] == Problem("val/cat/img1.png", "is empty (0 bytes)")
        assert len(dataset.problems) == 3
        assert dataset.counts() == {"train": 4, "val": 4, "test": 5}


def test_a_class_without_any_readable_file_is_an_error(two_classes: Path) -> None:
    for file in (two_classes / "train" / "cat").iterdir():
        file.write_text("no cat")
    for file in (two_classes / "test").rglob("*.png"):
        file.write_text("nothing")
    dataset = open_folder(two_classes, 16)
    with pytest.raises(UserError, match=r"‘cat’ can be read; the first, .*img1\.png’, is a text"):
        dataset.split("train")
    with pytest.raises(UserError, match="None of the 5 test photographs"):
        dataset.split("test")
    assert len(dataset.problems) == 7
    assert len(dataset.split("val")) == 5


def test_a_file_that_vanishes_is_not_remembered_as_bad(two_classes: Path, own_cache: Path) -> None:
    dataset = open_folder(two_classes, 16)
    (two_classes / "train" / "cat" / "img1.png").unlink()
    with pytest.raises(UserError, match="gone now"):
        dataset.split("train")
    assert list(own_cache.iterdir()) == []
    assert len(open_folder(two_classes, 16).split("train")) == 4


class StopError(Exception):
    pass


def test_a_listener_can_stop_the_decoding(two_classes: Path, own_cache: Path) -> None:
    def stop(event: Event) -> None:
        raise StopError

    with pytest.raises(StopError):
        open_folder(two_classes, 16, emit=stop).split("train")
    assert list(own_cache.iterdir()) == []


def test_classes_csv_describes(two_classes: Path) -> None:
    (two_classes / "classes.csv").write_text(
        "class,coarse,description\r\n"
        'brown-bear,Wild,"Large, brown"\r\n'
        "brown-bear,Wild,A bear that fishes.\r\n"
        "unicorn,,one horn\r\n",
        encoding="utf-8-sig",
    )
    dataset = open_folder(two_classes, 16)
    assert dataset.classes[0] == ClassInfo(
        "brown-bear", "brown bear", "Wild", ("Large, brown", "A bear that fishes.")
    )
    assert dataset.classes[1] == ClassInfo("cat", "cat")
    assert dataset.split("val").slices["coarse"].tolist() == ["Wild"] * 3 + ["(none)"] * 2
    assert any("‘unicorn’" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,coarse\ncat,pet\n", "no column ‘class’; it has name, coarse"),
        (b"", "no column ‘class’"),
        (b"class\n\xff\xfe", "not UTF-8"),
    ],
)
def test_a_broken_classes_csv_is_an_error(two_classes: Path, content: bytes, words: str) -> None:
    (two_classes / "classes.csv").write_bytes(content)
    with pytest.raises(UserError, match=words):
        open_folder(two_classes, 16)


def test_without_classes_csv_there_are_no_slices(two_classes: Path) -> None:
    assert open_folder(two_classes, 16).split("val").slices == {}


def test_the_licence_beside_the_photographs_is_told(two_classes: Path) -> None:
    assert open_folder(two_classes, 16).licence == "unknown (your own folder)"
    (two_classes / "LICENSE").write_text("\n# CC BY 4.0\n\nYou are free to ...")
    assert open_folder(two_classes, 16).licence == "CC BY 4.0"


def test_sizes_and_splits_are_checked(two_classes: Path) -> None:
    for size in (0, 8, 5000):
        with pytest.raises(UserError, match="16 to 1024"):
            open_folder(two_classes, size)
    with pytest.raises(UserError, match="train, val, test"):
        open_folder(two_classes, 16).split("dev")  # type: ignore[arg-type]


def test_the_grocery_photographs(grocery: Path) -> None:
    dataset = open_folder(grocery, 32)
    assert dataset.counts() == {"train": 2640, "val": 296, "test": 2485}
    assert len(dataset.classes) == 81 and all(info.descriptions for info in dataset.classes)
    split = dataset.split("val")
    assert dataset.problems == () and len(split) == 296
    assert split.images.std() > 30 and "Apple" in split.slices["coarse"]
