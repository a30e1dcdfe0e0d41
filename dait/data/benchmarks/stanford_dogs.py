"""Stanford Dogs: Khosla, Jayadevaprakash, Yao and Fei-Fei, FGVC workshop, CVPR 2011.

torchvision has no such class. The lengths and sha256 sums are those of tensorflow-datasets. Some
images show several dogs of the breed: the box is the smallest around all of them. One image
(n02105855_2933) is a PNG with transparency under the name of a JPEG, which the decoder reads.
"""

from __future__ import annotations

import re
from pathlib import Path

from dait.data.base import Box, ClassInfo
from dait.data.benchmarks.annotations import damaged, inside, label, matlab
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_IMAGES, _BOXES, _LISTS = "images.tar", "annotation.tar", "lists.tar"
_ADDRESS = "http://vision.stanford.edu/aditya86/ImageNetDogs/"

# The annotations are flat XML of one program's making; a parser would be slower by far for 20,580
# files, and would have to be guarded against what XML can do.
_CORNER = re.compile(r"<(xmin|ymin|xmax|ymax)>\s*(-?\d+(?:\.\d+)?)\s*</\1>")


def _read(places: Places, variant: str) -> Annotations:
    keys: dict[int, str] = {}
    splits: list[list[AnnotatedImage]] = []
    lists = places[_LISTS]
    files = (lists / "train_list.mat", lists / "test_list.mat")
    for file in files:
        names, labels = matlab(file, "file_list", "labels")
        if len(names) != len(labels):
            raise damaged(file, f"it has {len(names)} images but {len(labels)} labels")
        items = []
        for name, number in zip(names.tolist(), labels.tolist(), strict=True):
            index = label(file, number, 120)
            breed = str(name).partition("/")[0]
            if keys.setdefault(index, breed) != breed:
                raise damaged(file, f"class {number} is both ‘{keys[index]}’ and ‘{breed}’")
            image = inside(places[_IMAGES], str(name))
            items.append(AnnotatedImage(str(name), index, image, _box(places[_BOXES], str(name))))
        splits.append(items)
    if sorted(keys) != list(range(len(keys))):
        raise damaged(files[0], "its classes are not numbered from 1")
    classes = tuple(ClassInfo(keys[index], _breed(keys[index])) for index in sorted(keys))
    return Annotations(classes, splits[0], splits[1])


def _breed(key: str) -> str:
    """``n02099429-curly-coated_retriever`` → ``curly-coated retriever``."""
    return key.partition("-")[2].replace("_", " ") or key


def _box(folder: Path, name: str) -> Box | None:
    file = inside(folder, name.rpartition(".")[0])
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    corners: dict[str, list[float]] = {"xmin": [], "ymin": [], "xmax": [], "ymax": []}
    for corner, value in _CORNER.findall(text):
        corners[corner].append(float(value))
    if not all(corners.values()):
        raise damaged(file, "it has no box")
    first, last = min(corners["xmin"]), max(corners["xmax"])
    return first, min(corners["ymin"]), last, max(corners["ymax"])


BENCHMARK = Benchmark(
    name="stanford-dogs",
    title="Stanford Dogs",
    description="120 breeds of dogs, with boxes; its images come from ImageNet.",
    licence="Not stated with its files; the images are from ImageNet, for non-commercial research",
    homepage=_ADDRESS,
    images=20_580,
    classes={"": 120},
    published=(
        PublishedFile(
            file=_IMAGES,
            url=_ADDRESS + _IMAGES,
            size=793_579_520,
            sha256="a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
            top="Images",
        ),
        PublishedFile(
            file=_BOXES,
            url=_ADDRESS + _BOXES,
            size=21_852_160,
            sha256="662ed36f707be6b195c2fda392d8e153e83af28cedc8e2134a649f198def30fd",
            top="Annotation",
        ),
        PublishedFile(
            file=_LISTS,
            url=_ADDRESS + _LISTS,
            size=481_280,
            sha256="34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
            probe="train_list.mat",
        ),
    ),
    read=_read,
)
