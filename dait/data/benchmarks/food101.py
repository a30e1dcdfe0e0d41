"""Food-101: Bossard, Guillaumin and Van Gool, ECCV 2014.

torchvision reads it too; the md5 is its own, the length that of tensorflow-datasets. The training
images were left unclean on purpose: some labels are wrong.
"""

from __future__ import annotations

from dait.data.base import ClassInfo
from dait.data.benchmarks.annotations import damaged, inside, known, lines
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_ARCHIVE = "food-101.tar.gz"


def _read(places: Places, variant: str) -> Annotations:
    root = places[_ARCHIVE]
    keys = [key for _, key in lines(root / "meta" / "classes.txt")]
    names = [name for _, name in lines(root / "meta" / "labels.txt")]
    if len(keys) != len(names):
        raise damaged(root / "meta" / "labels.txt", f"{len(names)} names for {len(keys)} classes")
    indices = {key: index for index, key in enumerate(keys)}
    splits = []
    for part in ("train", "test"):
        file = root / "meta" / f"{part}.txt"
        items = []
        for _, path in lines(file):
            index = known(file, path.partition("/")[0], indices, "line in classes.txt")
            items.append(AnnotatedImage(path, index, inside(root / "images", f"{path}.jpg")))
        splits.append(items)
    classes = tuple(ClassInfo(key, name) for key, name in zip(keys, names, strict=True))
    return Annotations(classes, splits[0], splits[1])


BENCHMARK = Benchmark(
    name="food-101",
    title="Food-101",
    description="101 dishes, 750 training and 250 test images of each; some training labels wrong.",
    licence="Scientific fair use; the images are from Foodspotting and keep their owners' rights",
    homepage="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
    images=101_000,
    classes={"": 101},
    published=(
        PublishedFile(
            file=_ARCHIVE,
            url="http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
            size=4_996_278_331,
            md5="85eeb15f3717b99a5da872d97d918f87",
            top="food-101",
            probe="meta/train.txt",
        ),
    ),
    read=_read,
)
