"""Oxford Flowers 102: Nilsback and Zisserman, ICVGIP 2008.

torchvision reads it too; the md5 sums are its own, the lengths those of tensorflow-datasets. The
splits are as published (10 training and 10 validation images a class, the rest for test); some
papers swap training and test. The archive has no names: those in ``flowers102_names.txt``, in the
order of the labels, come from the data set's home page.
"""

from __future__ import annotations

from pathlib import Path

from dait.data.base import ClassInfo
from dait.data.benchmarks.annotations import damaged, label, lines, matlab
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_IMAGES, _LABELS, _SPLITS = "102flowers.tgz", "imagelabels.mat", "setid.mat"
_ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"


def _read(places: Places, variant: str) -> Annotations:
    names = [name for _, name in lines(Path(__file__).with_name("flowers102_names.txt"))]
    (labels,) = matlab(places[_LABELS], "labels")
    found = []
    for numbers in matlab(places[_SPLITS], "trnid", "valid", "tstid"):
        items = []
        for number in numbers.tolist():
            if not 1 <= number <= len(labels):
                raise damaged(places[_SPLITS], f"image {number} of {len(labels)} has no label")
            index = label(places[_LABELS], labels[number - 1], len(names))
            image = f"image_{number:05d}.jpg"
            items.append(AnnotatedImage(f"jpg/{image}", index, places[_IMAGES] / image))
        found.append(items)
    train, val, test = found
    classes = tuple(
        ClassInfo(f"{index:03d}-{name.replace(' ', '-')}", name)
        for index, name in enumerate(names, start=1)
    )
    return Annotations(classes, train, test, val)


BENCHMARK = Benchmark(
    name="flowers-102",
    title="Oxford Flowers 102",
    description="102 flowers common in the United Kingdom; 10 training images of each.",
    licence="Not stated by its authors; research use",
    homepage=_ADDRESS,
    images=8_189,
    classes={"": 102},
    published=(
        PublishedFile(
            file=_IMAGES,
            url=_ADDRESS + _IMAGES,
            size=344_862_509,
            md5="52808999861908f626f3c1f4e79d11fa",
            top="jpg",
        ),
        PublishedFile(
            file=_LABELS,
            url=_ADDRESS + _LABELS,
            size=502,
            md5="e0620be6f572b9609742df49c70aed4d",
            packed=False,
        ),
        PublishedFile(
            file=_SPLITS,
            url=_ADDRESS + _SPLITS,
            size=14_989,
            md5="a5357ecc9cb78c4bef273ce3793fc85c",
            packed=False,
        ),
    ),
    read=_read,
)
