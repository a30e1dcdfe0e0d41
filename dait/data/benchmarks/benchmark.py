"""What a published data set is, and how its own lists become a ``Listing``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dait.data.base import Box, ClassInfo, Problem, SplitName, Trim
from dait.data.folders.listing import ImageEntry, Listing, hold_out
from dait.errors import UserError


@dataclass(frozen=True)
class PublishedFile:
    """A file as its authors publish it.

    file: its name there, and in the folder ``archives`` here. url: empty where it has to be got by
        hand. size: bytes; None, as an empty checksum, where we are not sure of it.
    top: the folder that it unpacks to, empty where its files lie at its top.
    probe: a path below ``top`` that shows that it is unpacked.
    packed: whether it is an archive at all. optional: whether the data set can do without it.
    """

    file: str
    url: str = ""
    size: int | None = None
    md5: str = ""
    sha256: str = ""
    top: str = ""
    probe: str = ""
    packed: bool = True
    optional: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """An image as the published lists name it; ``id`` is its path there, with slashes."""

    id: str
    label: int
    file: Path
    box: Box | None = None
    mask: Path | None = None
    trim: Trim | None = None


@dataclass(frozen=True)
class Annotations:
    """What the published lists hold; ``val`` is None where they name no validation images.

    mask_values: the grey values of the masks that mean the object.
    """

    classes: tuple[ClassInfo, ...]
    train: Sequence[AnnotatedImage]
    test: Sequence[AnnotatedImage]
    val: Sequence[AnnotatedImage] | None = None
    mask_values: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


Places = Mapping[str, Path]
"""Where each published file is: the folder ``top`` that it was unpacked to, or itself."""


@dataclass(frozen=True)
class Benchmark:
    """A published data set.

    images, classes: how many, of each variant; the first variant is the default, and () means that
    there is only one way to label the images.
    read: ``(places, variant) → Annotations``; raises ``UserError`` for lists that make no sense.
    """

    name: str
    title: str
    description: str
    licence: str
    homepage: str
    images: int
    classes: Mapping[str, int]
    published: tuple[PublishedFile, ...]
    read: Callable[[Places, str], Annotations]

    @property
    def variants(self) -> tuple[str, ...]:
        """``("",)`` where there is one only."""
        return tuple(self.classes)


def list_benchmark(
    benchmark: Benchmark,
    variant: str,
    folder: Path,
    places: Places,
    *,
    val_fraction: float = 0.1,
    split_seed: int = 0,
) -> Listing:
    """The listing of a data set whose files are at ``places``; nothing is decoded.

    The published validation split is used where there is one; else ``val_fraction`` of the training
    images is held out, of every class, by ``split_seed``. The test split is as published, always.

    Raises ``UserError`` for lists that make no sense, and where so many images are missing that the
    data cannot be whole (more than 10 and more than 1 %); fewer become problems.
    """
    if not 0 < val_fraction < 1:
        raise UserError(f"The share for validation is {val_fraction}; it must be between 0 and 1.")
    annotations = benchmark.read(places, variant)
    published: dict[SplitName, Sequence[AnnotatedImage]] = {
        "train": annotations.train,
        "test": annotations.test,
    }
    if annotations.val is not None:
        published["val"] = annotations.val
    _require_distinct(benchmark, published)
    problems: list[Problem] = []
    splits = {name: _entries(items, problems) for name, items in published.items()}
    total = sum(len(items) for items in published.values())
    if len(problems) > max(10, total // 100):
        raise UserError(
            f"{len(problems):,} of the {total:,} images of {benchmark.title} are not in ‘{folder}’ "
            f"(the first is ‘{problems[0].file}’). Its archive seems to be unpacked half-way: "
            "remove what was unpacked there and unpack it again."
        )
    _require_every_class(benchmark, annotations.classes, splits)
    notes = list(annotations.notes)
    if annotations.val is None:
        splits["train"], splits["val"] = hold_out(splits["train"], val_fraction, split_seed, "val")
        notes.append(
            f"{benchmark.title} has no validation split of its own: {len(splits['val']):,} "
            f"training images are held out by a fixed seed ({split_seed}), of every class."
        )
    return Listing(
        name=f"{benchmark.name}:{variant}" if variant else benchmark.name,
        root=folder,
        classes=annotations.classes,
        splits={"train": splits["train"], "val": splits["val"], "test": splits["test"]},
        licence=benchmark.licence,
        homepage=benchmark.homepage,
        problems=tuple(problems),
        notes=tuple(notes),
        mask_values=annotations.mask_values,
    )


def _entries(items: Iterable[AnnotatedImage], problems: list[Problem]) -> tuple[ImageEntry, ...]:
    found = []
    for item in items:
        try:
            about = item.file.stat()
        except FileNotFoundError:
            problems.append(Problem(item.id, "is in the published list, but not on the disk"))
            continue
        except OSError as error:
            problems.append(Problem(item.id, f"cannot be read ({error.strerror or error})"))
            continue
        found.append(
            ImageEntry(
                item.id,
                item.label,
                item.file,
                about.st_size,
                about.st_mtime_ns,
                item.box,
                item.mask,
                item.trim,
            )
        )
    return tuple(found)


def _require_distinct(
    benchmark: Benchmark, splits: Mapping[SplitName, Sequence[AnnotatedImage]]
) -> None:
    """An image that is named twice would be trained on and tested with, or count double."""
    named = Counter(item.id for items in splits.values() for item in items)
    twice = [name for name, times in named.items() if times > 1]
    if twice:
        raise UserError(
            f"The lists of {benchmark.title} name ‘{twice[0]}’ more than once ({len(twice):,} "
            "images in all). They are damaged; unpack the published archive again."
        )


def _require_every_class(
    benchmark: Benchmark,
    classes: tuple[ClassInfo, ...],
    splits: Mapping[SplitName, tuple[ImageEntry, ...]],
) -> None:
    trained = {entry.label for entry in splits["train"]}
    for label, info in enumerate(classes):
        if label not in trained:
            raise UserError(
                f"No training image of the class ‘{info.name}’ of {benchmark.title} is on the "
                "disk. Unpack the published archive again."
            )
    for name, entries in splits.items():
        if not entries:
            raise UserError(f"{benchmark.title} has no {name} images on the disk. Unpack it again.")
