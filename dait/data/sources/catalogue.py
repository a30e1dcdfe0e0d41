"""The data sets that are known by name, and what a source means: a name or a path.

Light to import; ``registry`` opens what is named here.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dait.data.archives.unpack import SUFFIXES
from dait.data.benchmarks.catalogue import benchmarks
from dait.data.benchmarks.obtain import available
from dait.data.folders.names import on_disk
from dait.errors import UserError
from dait.storage.paths import absolute

FIELD_GUIDE, HUB = "fieldguide", "hf:"


@dataclass(frozen=True)
class DatasetCard:
    """What a data set that is known by name is, for a list to choose from.

    available: whether it is on this machine. images, classes: how many, of the first of its
    ``variants`` (ways to label the images, ``name:variant``; empty where there is one way only);
    None where an option decides.
    """

    name: str
    title: str
    description: str
    licence: str
    homepage: str
    available: bool = True
    images: int | None = None
    classes: int | None = None
    variants: tuple[str, ...] = ()


_FIELD_GUIDE_CARD = DatasetCard(
    name=FIELD_GUIDE,
    title="Field Guide",
    description=(
        "40 drawn species of birds in 8 families, told apart by small parts, before six "
        "habitats; drawn on your machine, with masks of every part. No download."
    ),
    licence="Apache-2.0 (drawn by this project)",
    homepage="",
    classes=40,
)


def list_datasets() -> list[DatasetCard]:
    """The data sets that ``open_dataset`` knows by name; looks at the disk, not at the network."""
    cards = [_FIELD_GUIDE_CARD]
    for benchmark in benchmarks().values():
        cards.append(
            DatasetCard(
                name=benchmark.name,
                title=benchmark.title,
                description=benchmark.description,
                licence=benchmark.licence,
                homepage=benchmark.homepage,
                available=available(benchmark),
                images=benchmark.images,
                classes=benchmark.classes[benchmark.variants[0]],
                variants=benchmark.variants if len(benchmark.variants) > 1 else (),
            )
        )
    return cards


def absolute_source(source: str) -> str:
    """A source that is a path as an absolute one, whether or not it exists; a name as it is."""
    named = source == FIELD_GUIDE or source.startswith(HUB)
    if named or source.partition(":")[0] in benchmarks() or not _is_path(source):
        return source
    return str(on_disk(absolute(source)))


def path_of(source: str) -> Path:
    """The path that a source is; raises ``UserError`` where it is neither a name nor a path."""
    if _is_path(source):
        return on_disk(absolute(source))
    known = [FIELD_GUIDE, *benchmarks()]
    asked = source.lower()
    near = difflib.get_close_matches(asked, known, n=1)
    near += [name for name in known if len(asked) > 2 and asked in name]
    hint = f" Did you mean ‘{near[0]}’?" if near else ""
    raise UserError(
        f"There is no data set ‘{source}’. Use {quoted(known)}, hf:owner/name of the Hugging Face "
        "hub, or the path of a folder of photographs, of an archive (.zip, .tar) of one, or of a "
        f"table (.csv) that lists them.{hint}"
    )


def quoted(names: Iterable[str]) -> str:
    """Names for a sentence: ``‘a’, ‘b’``."""
    return ", ".join(f"‘{name}’" for name in names)


def _is_path(source: str) -> bool:
    # What looks like a path is meant as one even when nothing is there.
    like_a_path = {"/", os.sep} & set(source) or source.lower().endswith((*SUFFIXES, ".csv"))
    return bool(source and (like_a_path or on_disk(absolute(source)).exists()))
