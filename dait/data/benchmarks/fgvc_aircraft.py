"""FGVC-Aircraft 2013b: Maji, Kannala, Rahtu, Blaschko and Vedaldi, arXiv 1306.5151, 2013.

torchvision reads its classes too, but neither its boxes nor without its banners. Every image ends
in a banner of 20 pixels that names the photographer, which its authors ask to remove: it is cut
off before anything is decoded (``ImageEntry.trim``). The archive's md5 and length are those that
several other readers state; its authors publish the md5 on a page of its own.
"""

from __future__ import annotations

from pathlib import Path

from dait.data.base import SPLITS, Box, ClassInfo
from dait.data.benchmarks.annotations import boxes, damaged, inside, known, lines, mapping
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_ARCHIVE = "fgvc-aircraft-2013b.tar.gz"
_BANNER = (0, 0, 0, 20)
_LISTS = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}


def _read(places: Places, variant: str) -> Annotations:
    root = places[_ARCHIVE] / "data"
    listed = root / _LISTS[variant]
    names = [name for _, name in lines(listed)]
    labels = {name: index for index, name in enumerate(names)}
    areas = {image: _exclusive(box) for image, box in boxes(root / "images_box.txt").items()}
    makers: dict[str, str] = {}
    splits: dict[str, list[AnnotatedImage]] = {}
    for split in SPLITS:
        file = root / f"images_{variant}_{split}.txt"
        maker = mapping(root / f"images_manufacturer_{split}.txt")
        splits[split] = []
        for image, name in mapping(file).items():
            index = known(file, name, labels, f"line in {listed.name}")
            makers[name] = known(file, image, maker, "manufacturer")
            splits[split].append(_item(root, image, index, areas))
    if set(makers) != set(labels):
        raise damaged(listed, f"‘{min(set(labels) - set(makers))}’ has no image")
    classes = tuple(
        # "F/A-18": a key may become part of a path
        ClassInfo(name.replace("/", "-"), name, makers[name] if variant != "manufacturer" else None)
        for name in names
    )
    return Annotations(classes, splits["train"], splits["test"], splits["val"])


def _item(root: Path, image: str, index: int, areas: dict[str, Box]) -> AnnotatedImage:
    file = inside(root / "images", f"{image}.jpg")
    return AnnotatedImage(f"images/{image}.jpg", index, file, areas.get(image), trim=_BANNER)


def _exclusive(box: Box) -> Box:
    """PublishedFile as first and last pixel, counted from 1."""
    left, top, right, bottom = box
    return left - 1, top - 1, right, bottom


BENCHMARK = Benchmark(
    name="fgvc-aircraft",
    title="FGVC-Aircraft",
    description=(
        "Aircraft, labelled by variant (100 classes), family (70) or manufacturer (30), with "
        "boxes and a validation split of its own."
    ),
    licence="Non-commercial research; the photographers keep their rights",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
    images=10_000,
    classes={"variant": 100, "family": 70, "manufacturer": 30},
    published=(
        PublishedFile(
            file=_ARCHIVE,
            url="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/" + _ARCHIVE,
            size=2_753_340_328,
            md5="d4acdd33327262359767eeaa97a4f732",
            top="fgvc-aircraft-2013b",
            probe="data/variants.txt",
        ),
    ),
    read=_read,
)
