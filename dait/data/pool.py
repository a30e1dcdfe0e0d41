"""The images that a training may learn from: labelled ones, and perhaps unlabelled ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dait.data.base import UNLABELLED, Dataset, Split
from dait.data.stored import StoredImages


def training_images(data: Dataset, unlabelled: bool) -> Split:
    """The training images; with ``unlabelled`` these first, and then the unlabelled ones.

    Joined images are read where they lie, so a training image has the same number, and with it the
    same views, either way. Masks, boxes and slices are left out of joined images. Where the data
    has no unlabelled images this is the split ``train`` itself.
    """
    train = data.split("train")
    if not unlabelled or not has_unlabelled(data):
        return train
    return joined(train, data.split("unlabelled"))


def pool_size(data: Dataset) -> int:
    """How many training images there are, labelled or not: an epoch is as long in every arm."""
    more = len(data.split("unlabelled")) if has_unlabelled(data) else 0
    return len(data.split("train")) + more


def has_unlabelled(data: Dataset) -> bool:
    """Whether the data set has unlabelled images; none is decoded."""
    return data.counts().get("unlabelled", 0) > 0


def joined(first: Split, second: Split) -> Split:
    """The images of two splits, one after the other, under the name of the first."""
    stored = stored_images(first).followed_by(stored_images(second))
    labels = np.concatenate([first.labels, second.labels])
    return Split(first.name, stored.centres(), labels, first.ids + second.ids, stored=stored)


def without_labels(split: Split, numbers: np.ndarray) -> Split:
    """The images ``numbers`` ``(n,)`` of a split as unlabelled ones; no mask is kept either."""
    stored = stored_images(split).taken(numbers)
    labels = np.full(len(numbers), UNLABELLED, np.int64)
    return Split("unlabelled", stored.centres(), labels, _ids(split, numbers), stored=stored)


def part_of(split: Split, numbers: np.ndarray) -> Split:
    """The images ``numbers`` ``(n,)`` of a split, with all that is known of them."""
    stored = stored_images(split).taken(numbers)
    return Split(
        name=split.name,
        images=stored.centres(),
        labels=split.labels[numbers],
        ids=_ids(split, numbers),
        masks=None if split.masks is None else split.masks[numbers],
        slices={name: values[numbers] for name, values in split.slices.items()},
        boxes=None if split.boxes is None else split.boxes[numbers],
        stored=stored,
    )


def stored_images(split: Split) -> StoredImages:
    """What a split's views are cut from."""
    found = split.uncropped
    return found if isinstance(found, StoredImages) else StoredImages.of(found)


def _ids(split: Split, numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(split.ids[number] for number in numbers)
