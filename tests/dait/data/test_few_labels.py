"""Data of which few training images keep their labels, and the images that arms learn from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import UNLABELLED, Dataset
from dait.data.few_labels import FewLabels, with_all_labels
from dait.data.pool import pool_size, training_images
from dait.data.sources.registry import open_dataset
from dait.errors import UserError

Photos = Callable[[str, int], None]
GUIDE = {
    "size": 32,
    "species": 6,
    "train_per_class": 4,
    "val_per_class": 2,
    "test_per_class": 3,
}


@pytest.fixture
def folder(root: Path, photos: Photos) -> Path:
    """Nine and three training photographs, and five without a label."""
    for split, first, second in (("train", 9, 3), ("val", 2, 2), ("test", 2, 2)):
        photos(f"{split}/a", first)
        photos(f"{split}/b", second)
    photos("unlabelled", 5)
    return root


def guide(**options: object) -> Dataset:
    return open_dataset("fieldguide", **{**GUIDE, **options})  # type: ignore[arg-type]


def test_a_folder_has_a_fourth_split(folder: Path) -> None:
    data = open_dataset(str(folder), size=32)
    assert data.counts() == {"train": 12, "val": 4, "test": 4, "unlabelled": 5}
    split = data.split("unlabelled")
    assert split.labels.tolist() == [UNLABELLED] * 5 and split.images.shape == (5, 32, 32, 3)
    assert split.ids[0] == "unlabelled/img1.png" and split.slices == {}
    (folder / "unlabelled" / "img2.png").write_bytes(b"no image")
    again = open_dataset(str(folder), size=32)
    assert len(again.split("unlabelled")) == 4 and again.counts()["unlabelled"] == 4
    assert again.problems[0].file == "unlabelled/img2.png"
    assert again.fingerprint != data.fingerprint


def test_without_them_the_data_is_what_it_is_without_their_folder(folder: Path) -> None:
    data = open_dataset(str(folder), size=32, use_unlabelled=False)
    assert "unlabelled" not in data.counts() and len(data.split("unlabelled")) == 0
    assert [(left.count, left.first) for left in data.left_out] == [(5, "unlabelled/img1.png")]  # type: ignore[attr-defined]
    (folder / "unlabelled").rename(folder.parent / "elsewhere")
    assert open_dataset(str(folder), size=32).fingerprint == data.fingerprint


def test_data_without_unlabelled_images_is_not_touched() -> None:
    data = guide()
    assert "unlabelled" not in data.counts() and len(data.split("unlabelled")) == 0
    assert training_images(data, True) is data.split("train") and pool_size(data) == 24


@pytest.mark.parametrize("source", ["guide", "folder"])
def test_so_many_of_each_class_keep_their_labels(source: str, folder: Path) -> None:
    def opened(per_class: int | None, seed: int = 0, use: bool = True) -> Dataset:
        few = {"labelled_per_class": per_class, "use_unlabelled": use, "seed": seed}
        return guide(**few) if source == "guide" else open_dataset(str(folder), size=32, **few)  # type: ignore[arg-type]

    whole, data = opened(None), opened(2)
    train, rest, all_of_them = data.split("train"), data.split("unlabelled"), whole.split("train")
    assert set(np.bincount(train.labels)) == {2} and set(rest.labels) == {UNLABELLED}
    more = list(whole.split("unlabelled").ids)
    assert sorted([*train.ids, *rest.ids]) == sorted([*all_of_them.ids, *more])
    assert list(rest.ids[len(rest) - len(more) :]) == more
    place = {name: at for at, name in enumerate(all_of_them.ids)}
    for split in (train, rest):
        for at, name in enumerate(split.ids[: len(split) - (len(more) if split is rest else 0)]):
            np.testing.assert_array_equal(split.images[at], all_of_them.images[place[name]])
    labels = [int(all_of_them.labels[place[name]]) for name in train.ids]
    assert train.labels.tolist() == labels
    # The choice: the same again, another by another seed, more of it with more labels.
    assert opened(2).split("train").ids == train.ids
    assert set(train.ids) < set(opened(3).split("train").ids)
    assert data.split("test") is data.whole.split("test")  # type: ignore[attr-defined]
    for name in ("test", "val"):
        assert data.split(name).ids == whole.split(name).ids  # type: ignore[arg-type]
    others = [opened(3), opened(2, use=False), whole]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 4
    alone = opened(2, use=False)
    assert alone.split("train").ids == train.ids and pool_size(alone) == len(train)


def test_it_is_counted_before_anything_is_decoded(folder: Path) -> None:
    data = open_dataset(str(folder), size=32, labelled_per_class=4)
    assert data.counts() == {"train": 7, "val": 4, "test": 4, "unlabelled": 10}
    assert not data.whole._splits  # type: ignore[attr-defined]
    assert data.notes[-2:] == (
        "7 of 12 training images keep their labels, 4 of each class, chosen by the seed 0; the "
        "others are unlabelled.",
        "1 of 2 classes have fewer than 4 training images and keep all their labels; the first is "
        "‘b’.",
    )
    assert len(data.split("train")) == 7 and len(data.split("unlabelled")) == 10
    plenty = open_dataset(str(folder), size=32, labelled_per_class=50, use_unlabelled=False)
    assert "unlabelled" not in plenty.counts() and len(plenty.split("unlabelled")) == 0


def test_another_seed_chooses_others() -> None:
    whole = with_all_labels(guide())
    first, second = (FewLabels(whole, 1, seed).split("train").ids for seed in (0, 1))  # type: ignore[arg-type]
    assert first != second


def test_masks_and_slices_stay_with_the_labels() -> None:
    whole, data = guide(), guide(labelled_per_class=1)
    train, all_of_them = data.split("train"), whole.split("train")
    at = [all_of_them.ids.index(name) for name in train.ids]
    np.testing.assert_array_equal(train.masks, all_of_them.masks[at])  # type: ignore[index]
    assert list(train.slices["habitat"]) == list(all_of_them.slices["habitat"][at])
    assert data.split("unlabelled").masks is None


@pytest.mark.parametrize("per_class", [0, -1])
def test_some_images_keep_their_labels(per_class: int) -> None:
    with pytest.raises(UserError, match=r"data\.labelled_per_class"):
        guide(labelled_per_class=per_class)


def test_it_can_be_copied_and_says_what_it_has_not() -> None:
    data = copy.copy(guide(labelled_per_class=1))
    assert data.reader == data.whole.reader  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        _ = data.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("fit", ["crop", "square", "letterbox"])
def test_an_image_has_the_same_views_in_the_pool(folder: Path, fit: str) -> None:
    data = open_dataset(str(folder), size=32, fit=fit)  # type: ignore[arg-type]
    pool, parts = training_images(data, True), (data.split("train"), data.split("unlabelled"))
    assert len(pool) == 17 and pool.ids == parts[0].ids + parts[1].ids
    assert pool.labels.tolist() == [*parts[0].labels, *[UNLABELLED] * 5]
    policy, train = ViewPolicy("full", 3), np.array([11, 0, 4])
    one, other = (
        view_batch(images[train], train, 2, policy, size=32)
        for images in (pool.uncropped, parts[0].uncropped)
    )
    assert one.equal(other)
    both = np.array([14, 2, 12])
    views = view_batch(pool.uncropped[both], both, 2, policy, size=32)
    own = view_batch(parts[1].uncropped[np.array([2, 0])], both[[0, 2]], 2, policy, size=32)
    assert views[[0, 2]].equal(own)
    for at in range(17):
        split, place = (parts[0], at) if at < 12 else (parts[1], at - 12)
        np.testing.assert_array_equal(pool.images[at], split.images[place])


def test_no_pixels_are_copied(folder: Path) -> None:
    data = open_dataset(str(folder), size=32, labelled_per_class=1)
    pool, train = training_images(data, True), data.whole.split("train")  # type: ignore[attr-defined]
    at = train.ids.index(pool.ids[0])
    assert np.shares_memory(pool.stored.image(0), train.stored.image(at))
    rest = data.whole.split("unlabelled")  # type: ignore[attr-defined]
    assert np.shares_memory(pool.stored.image(len(pool) - 1), rest.stored.image(4))
