"""NABirds v1: Van Horn et al., “Building a bird recognition app …”, CVPR 2015.

Its download asks for agreement to terms, so the archive has to be got by hand. The md5 is the one
that other readers of it state; we know of no published one.
"""

from __future__ import annotations

from pathlib import Path

from dait.data.base import ClassInfo
from dait.data.benchmarks.annotations import damaged, known, mapping, read_rows
from dait.data.benchmarks.benchmark import (
    AnnotatedImage,
    Annotations,
    Benchmark,
    Places,
    PublishedFile,
)

_ARCHIVE = "nabirds.tar.gz"


def _read(places: Places, variant: str) -> Annotations:
    root = places[_ARCHIVE]
    names = mapping(root / "classes.txt")
    parents = mapping(root / "hierarchy.txt")
    rows = list(read_rows(root))
    # classes.txt has every node of the hierarchy; the classes are those that images are of.
    used = sorted({row.class_id for row in rows}, key=lambda node: (len(node), node))
    classes = []
    for node in used:
        name = known(root / "image_class_labels.txt", node, names, "name in classes.txt")
        classes.append(ClassInfo(node.zfill(4), name, _family(root, node, parents, names)))
    labels = {node: index for index, node in enumerate(used)}
    train: list[AnnotatedImage] = []
    test: list[AnnotatedImage] = []
    for row in rows:
        item = AnnotatedImage(row.path, labels[row.class_id], row.file, row.box)
        (train if row.training else test).append(item)
    return Annotations(tuple(classes), train, test)


def _family(root: Path, node: str, parents: dict[str, str], names: dict[str, str]) -> str | None:
    """The name of the node two below the root, which are families; of its parent if it is nearer.

    A direct parent would be a species for some classes (plumages) and a family for others.
    """
    way: list[str] = []
    above = parents.get(node)
    while above is not None and above not in way:
        way.append(above)
        above = parents.get(above)
    if above is not None and above != way[-1]:
        raise damaged(root / "hierarchy.txt", f"‘{node}’ is its own ancestor")
    way = way[:-1]  # without the root, which is “Birds”
    if not way:
        return None
    return names.get(way[-2] if len(way) > 1 else way[-1])


BENCHMARK = Benchmark(
    name="nabirds",
    title="NABirds",
    description="555 kinds of North American birds (species, sexes, plumages), with boxes.",
    licence="Non-commercial research and education, under terms that its download asks for",
    homepage="https://dl.allaboutbirds.org/nabirds",
    images=48_562,
    classes={"": 555},
    published=(
        PublishedFile(
            file=_ARCHIVE,
            md5="df21a9e4db349a14e2b08adfd45873bd",
            top="nabirds",
            probe="images.txt",
        ),
    ),
    read=_read,
)
