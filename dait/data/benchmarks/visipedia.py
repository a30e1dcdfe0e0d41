"""The lists that CUB-200-2011 and NABirds share: a line an image, keyed by an image id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dait.data.base import Box
from dait.data.benchmarks.annotations import boxes, damaged, inside, known, mapping


@dataclass(frozen=True)
class ListedImage:
    """One image: its path below ``images``, published class id, part of training, box."""

    path: str
    class_id: str
    training: bool
    file: Path
    box: Box


def read_rows(root: Path) -> Iterator[ListedImage]:
    """Every image of ``images.txt`` with what the other lists say of it.

    Boxes are published as left, top, width, height. Raises ``UserError`` for lists that are missing
    or do not fit together.
    """
    listed = root / "images.txt"
    labels = mapping(root / "image_class_labels.txt")
    training = mapping(root / "train_test_split.txt")
    areas = boxes(root / "bounding_boxes.txt")
    for image, path in mapping(listed).items():
        part = known(listed, image, training, "line in train_test_split.txt")
        if part not in ("0", "1"):
            raise damaged(root / "train_test_split.txt", f"‘{image}’ has {part}, neither 0 nor 1")
        left, top, width, height = known(listed, image, areas, "line in bounding_boxes.txt")
        yield ListedImage(
            path,
            known(listed, image, labels, "line in image_class_labels.txt"),
            part == "1",
            inside(root / "images", path),
            (left, top, left + width, top + height),
        )
