"""The one training that every peer does: images, networks, optimiser, augmentation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
from PIL import Image

from dait.data.base import SplitName
from dait.data.fieldguide import FieldGuideOptions, record
from dait.data.fieldguide.parallel import in_parallel
from dait.data.folders.scan import SUFFIXES
from dait.errors import UserError
from dait.teachers.vision_only import VisionOnlyTeacher, load_vision_teacher

STUDENT: dict[str, Any] = {
    "name": "resnet10t",
    "output_stride": 16,
    "options": {"channels": [16, 32, 64, 128], "stem_width": 16},
}
"""The demo recipe's student."""

TEACHER = "imagenet-lite2"
LEARNING_RATE, WEIGHT_DECAY, GRADIENT_CLIP, FEATURE_WEIGHT = 2e-3, 0.05, 5.0, 2.0
AREA, RATIO = (0.7, 1.0), (3 / 4, 4 / 3)
"""Of the random resized crop; with a flip, it is what ``ViewPolicy("light")`` does."""

HELD_OUT = 16
"""Images of each split that is not trained on: a study needs some, and they should cost nothing."""

EpochDone = Callable[[int], None]
"""Called with the images of an epoch at its end."""


@dataclass(frozen=True)
class Setting:
    """folder: of ``train/class/*.jpg``. size: in pixels. workers: processes that load, beside the
    training's. distil: the student learns from the teacher's features too, else labels alone.
    views: distinct ones of an image; 0: a new one every epoch. Only ours has them."""

    folder: str
    size: int
    batch: int = 64
    epochs: int = 3
    distil: bool = True
    workers: int = 1
    views: int = 0

    @property
    def train_folder(self) -> Path:
        return Path(self.folder) / "train"

    @property
    def classes(self) -> int:
        return sum(1 for _ in self.train_folder.iterdir())


def student(classes: int) -> Any:
    """The student, a network of timm."""
    return timm.create_model(
        STUDENT["name"],
        num_classes=classes,
        output_stride=STUDENT["output_stride"],
        **STUDENT["options"],
    )


def teacher(size: int) -> VisionOnlyTeacher:
    """The frozen teacher; its ``network.model`` is timm's, with pretrained weights."""
    return load_vision_teacher(TEACHER, size)


def lay_out_photos(source: Path, count: int, folder: Path) -> None:
    """``count`` training images of ``source/train/class/*``, and a few to hold out, copied.

    Every class in turn gives one, so that all have some. Raises ``UserError`` for too few images.
    """
    by_class = [sorted(_images(place)) for place in sorted((source / "train").glob("*/"))]
    if not by_class:
        raise UserError(f"{source} has no folder train with a folder of images for every class.")
    rounds = range(max(map(len, by_class)))
    order = [files[turn] for turn in rounds for files in by_class if turn < len(files)]
    if len(order) < count + 2 * HELD_OUT:
        raise UserError(
            f"{source} has {len(order)} training images; {count + 2 * HELD_OUT} are needed."
        )
    parts = {
        "train": order[:count],
        "val": order[count : count + HELD_OUT],
        "test": order[count + HELD_OUT : count + 2 * HELD_OUT],
    }
    for split, files in parts.items():
        for file in files:
            place = folder / split / file.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place / file.name)


def draw_photos(count: int, size: int, folder: Path) -> None:
    """``count`` training images of the Field Guide and a few to hold out, as JPEG files."""
    options = FieldGuideOptions(size=size, train_per_class=-(-count // 40))
    splits: dict[SplitName, int] = {"train": count, "val": HELD_OUT, "test": HELD_OUT}
    for split, images in splits.items():
        drawn = in_parallel(partial(_drawn, options, split), images)
        for index, (pixels, label) in enumerate(drawn):
            place = folder / split / f"species{label:02d}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{index:05d}.jpg", quality=90)


def _drawn(options: FieldGuideOptions, split: SplitName, index: int) -> tuple[np.ndarray, int]:
    found = record(options, split, index)
    return found.scene.image, found.label


def _images(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
