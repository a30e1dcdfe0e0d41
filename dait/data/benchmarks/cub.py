"""CUB-200-2011: Wah, Branson, Welinder, Perona and Belongie, CNS-TR-2011-001, 2011.

torchvision has no such class. The archive also holds a few ``*_rgb.jpg`` copies of grey images that
no list names; they are not read.
"""

from __future__ import annotations

from dait.data.base import ClassInfo
from dait.data.benchmarks.annotations import damaged, label, mapping, read_rows
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_IMAGES, _MASKS = "CUB_200_2011.tgz", "segmentations.tgz"

# Five people drew each mask: a pixel's grey is the share of them that called it bird.
_MOST_SAY_BIRD = tuple(range(128, 256))


def _read(places: Places, variant: str) -> Annotations:
    root, masks = places[_IMAGES], places.get(_MASKS)
    names = mapping(root / "classes.txt")
    if list(names) != [str(number) for number in range(1, len(names) + 1)]:
        raise damaged(root / "classes.txt", "its classes are not numbered from 1")
    # "001.Black_footed_Albatross"
    classes = tuple(
        ClassInfo(key, key.partition(".")[2].replace("_", " ") or key) for key in names.values()
    )
    train: list[AnnotatedImage] = []
    test: list[AnnotatedImage] = []
    for row in read_rows(root):
        index = label(root / "image_class_labels.txt", row.class_id, len(classes))
        mask = masks / f"{row.path.rpartition('.')[0]}.png" if masks else None
        (train if row.training else test).append(
            AnnotatedImage(row.path, index, row.file, row.box, mask)
        )
    return Annotations(classes, train, test, mask_values=_MOST_SAY_BIRD)


BENCHMARK = Benchmark(
    name="cub-200-2011",
    title="CUB-200-2011",
    description="200 species of birds, with boxes and, where the masks are there too, outlines.",
    licence="Non-commercial research and education; the photographers keep their rights",
    homepage="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    images=11_788,
    classes={"": 200},
    published=(
        PublishedFile(
            file=_IMAGES,
            url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            size=1_150_585_339,
            md5="97eceeb196236b17998738112f37df78",
            top="CUB_200_2011",
            probe="images.txt",
        ),
        PublishedFile(
            file=_MASKS,
            url="https://data.caltech.edu/records/w9d68-gec53/files/segmentations.tgz",
            size=39_272_883,
            md5="4d47ba1228eae64f2fa547c47bc65255",
            top="segmentations",
            optional=True,
        ),
    ),
    read=_read,
)
