"""Oxford-IIIT Pet: Parkhi, Vedaldi, Zisserman and Jawahar, CVPR 2012.

torchvision reads it too, but decodes every trimap for itself; the lengths and md5 sums are its own.
Some ``.jpg`` are GIF or PNG files, which the decoder reads all the same, two JPEGs are damaged and
may become problems, and MATLAB files lie among the images; only what the lists name is read.
"""

from __future__ import annotations

from pathlib import Path

from dait.data.base import ClassInfo
from dait.data.benchmarks.annotations import damaged, inside, label, lines
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_IMAGES, _LISTS = "images.tar.gz", "annotations.tar.gz"
_ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
_SPECIES = {"1": "cat", "2": "dog"}
_BREEDS = 37

# 1 pet, 2 background, 3 undecided: the outline, a few pixels wide, half of which is fur. Counting
# it to the pet keeps ears and tails whole.
_PET = (1, 3)


def _read(places: Places, variant: str) -> Annotations:
    found: dict[int, ClassInfo] = {}
    splits = [
        _items(places[_LISTS] / name, places[_IMAGES], found)
        for name in ("trainval.txt", "test.txt")
    ]
    if sorted(found) != list(range(len(found))):
        raise damaged(places[_LISTS] / "trainval.txt", "its classes are not numbered from 1")
    classes = tuple(found[index] for index in range(len(found)))
    return Annotations(classes, splits[0], splits[1], mask_values=_PET)


def _items(file: Path, images: Path, classes: dict[int, ClassInfo]) -> list[AnnotatedImage]:
    items = []
    for number, line in lines(file):
        if line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 4 or words[2] not in _SPECIES:
            raise damaged(file, f"line {number} is not ‘image class species breed’: ‘{line}’")
        name, index = words[0], label(file, words[1], _BREEDS)
        key = name.rpartition("_")[0]
        info = ClassInfo(key, key.replace("_", " "), _SPECIES[words[2]])
        if classes.setdefault(index, info) != info:
            raise damaged(file, f"class {words[1]} is both ‘{classes[index].key}’ and ‘{key}’")
        mask = inside(file.parent / "trimaps", f"{name}.png")
        image = inside(images, f"{name}.jpg")
        items.append(AnnotatedImage(f"images/{name}.jpg", index, image, mask=mask))
    return items


BENCHMARK = Benchmark(
    name="oxford-iiit-pet",
    title="Oxford-IIIT Pet",
    description="37 breeds, 12 of cats and 25 of dogs, with outlines.",
    licence="CC BY-SA 4.0; the photographers keep their rights",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
    images=7_349,
    classes={"": _BREEDS},
    published=(
        PublishedFile(
            file=_IMAGES,
            url=_ADDRESS + _IMAGES,
            size=791_918_971,
            md5="5c4f3ee8e5d25df40f4fd59a7f44e54c",
            top="images",
        ),
        PublishedFile(
            file=_LISTS,
            url=_ADDRESS + _LISTS,
            size=19_173_078,
            md5="95a8c909bbe2e81eed6a22bccdf3f68f",
            top="annotations",
            probe="trainval.txt",
        ),
    ),
    read=_read,
)
