"""Stanford Cars: Krause, Stark, Deng and Fei-Fei, 3dRR-13, 2013.

Its authors' links are dead, and torchvision's class can no longer download it either: the four
files have to be got by hand. Their md5 sums are those of torchvision while the links lived.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dait.data.base import ClassInfo
from dait.data.benchmarks.annotations import damaged, inside, label, matlab
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_KIT, _TRAIN, _TEST = "car_devkit.tgz", "cars_train.tgz", "cars_test.tgz"
_TEST_LABELS = "cars_test_annos_withlabels.mat"
_FIELDS = ("fname", "class", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def _read(places: Places, variant: str) -> Annotations:
    kit = places[_KIT]
    (names,) = matlab(kit / "cars_meta.mat", "class_names")
    if len(set(names.tolist())) < len(names):
        raise damaged(kit / "cars_meta.mat", "it names a class twice")
    # "Ram C/V Cargo Van Minivan 2012": a key may become part of a path
    classes = tuple(ClassInfo(str(name).replace("/", "-"), str(name)) for name in names)
    return Annotations(
        classes,
        _items(kit / "cars_train_annos.mat", places[_TRAIN], "cars_train", len(classes)),
        _items(places[_TEST_LABELS], places[_TEST], "cars_test", len(classes)),
    )


def _items(file: Path, folder: Path, name: str, count: int) -> list[AnnotatedImage]:
    (records,) = matlab(file, "annotations")
    if any(field not in (records.dtype.names or ()) for field in _FIELDS):
        raise damaged(file, f"its annotations do not have the fields {', '.join(_FIELDS)}")
    found = []
    for record in records:
        image, number, *corners = (np.asarray(record[field]).item() for field in _FIELDS)
        left, top, right, bottom = (float(corner) for corner in corners)
        found.append(
            AnnotatedImage(
                f"{name}/{image}",
                label(file, number, count),
                inside(folder, str(image)),
                # published as first and last pixel, counted from 1
                (left - 1, top - 1, right, bottom),
            )
        )
    return found


BENCHMARK = Benchmark(
    name="stanford-cars",
    title="Stanford Cars",
    description="196 cars by make, model and year, with boxes. Its links are dead: see the error.",
    licence="Not stated with its files; research use",
    homepage="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    images=16_185,
    classes={"": 196},
    published=(
        PublishedFile(
            file=_KIT,
            md5="c3b158d763b6e2245038c8ad08e45376",
            size=330_960,
            top="devkit",
            probe="cars_meta.mat",
        ),
        PublishedFile(
            file=_TRAIN,
            md5="065e5b463ae28d29e77c1b4b166cfe61",
            size=979_269_282,
            top="cars_train",
        ),
        PublishedFile(
            file=_TEST,
            md5="4ce7ebf6a94d07f1952d94dd34c4d501",
            size=977_350_468,
            top="cars_test",
        ),
        PublishedFile(
            file=_TEST_LABELS,
            md5="b0a2b23655a3edd16d84508592a98d10",
            size=185_758,
            top="devkit",
            packed=False,
        ),
    ),
    read=_read,
)
