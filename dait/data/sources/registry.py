"""From a name or a path to a data set."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dait.data.archives.unpack import SUFFIXES
from dait.data.base import CROP_PCT, Dataset, Fit
from dait.data.folders.listing import Listing
from dait.data.folders.names import on_disk
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.storage.cache import cache_dir
from dait.storage.files import sweep
from dait.storage.paths import absolute


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


_FIELD_GUIDE = DatasetCard(
    name="fieldguide",
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
    from dait.data.benchmarks.catalogue import benchmarks
    from dait.data.benchmarks.obtain import available

    cards = [_FIELD_GUIDE]
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


def open_dataset(
    source: str,
    *,
    size: int,
    seed: int = 0,
    habitat_bias: float = 0.7,
    val_fraction: float = 0.1,
    crop_pct: float = CROP_PCT,
    fit: Fit = "crop",
    emit: Emit = ignore,
    **options: Any,
) -> Dataset:
    """A data set by name or path; nothing is drawn or decoded yet, but it may be downloaded.

    source: ``"fieldguide"``; a benchmark (``"cub-200-2011"``, ``"fgvc-aircraft:family"``);
        ``"hf:owner/name"`` (or ``"hf:owner/name:config@revision"``) of the Hugging Face hub; or a
        path, of a folder of photographs, of a ``.zip`` or ``.tar`` of one, or of a ``.csv`` that
        lists them. A name goes before a folder of the same name (``./fieldguide``).
    size: pixels a side. seed: draws the Field Guide, splits what comes without splits.
    val_fraction: of the training images, where there is no validation split.
    crop_pct, fit: how photographs become squares, as in ``images.frame.Framing``; the Field
        Guide is drawn as squares of this very size.
    habitat_bias and options: the Field Guide's (``train_per_class``, ``species``, ...). A benchmark
        has the options ``mirror`` (an address that has its published files) and ``folder``.

    Raises ``UserError`` for an unknown name, unusable files, a download that fails, or an option
    that does not fit.
    """
    for kept in ("archives", "hub"):
        sweep(cache_dir() / kept)
    if source == "fieldguide":
        return _open_fieldguide(emit, size=size, seed=seed, habitat_bias=habitat_bias, **options)
    from dait.data.benchmarks.catalogue import benchmarks, open_listing
    from dait.data.folders.dataset import SIZES, ListedDataset
    from dait.data.images.frame import Framing

    low, high = SIZES
    if not low <= size <= high:  # before anything is downloaded
        raise UserError(f"Images are {low} to {high} pixels a side, not {size}. Change it.")
    split: dict[str, Any] = {"val_fraction": val_fraction, "split_seed": seed}
    if source.partition(":")[0] in benchmarks():
        _require_options(source, options, ("folder", "mirror"))
        listing = open_listing(source, **split, **options, emit=emit)
    elif source.startswith("hf:"):
        from dait.data.sources.hub import list_hub

        _require_options(source, options, ())
        listing = list_hub(source.removeprefix("hf:"), **split, emit=emit)
    else:
        listing = _list_path(_path(source), split, options, emit)
    return ListedDataset(listing, Framing(size, crop_pct, fit), emit)


def _list_path(
    path: Path, split: Mapping[str, Any], options: Mapping[str, Any], emit: Emit
) -> Listing:
    from dait.data.archives.archive import list_archive
    from dait.data.folders.folder import list_folder
    from dait.data.folders.table import list_table

    _require_options(str(path), options, ())
    name = path.name.lower()
    if not path.is_dir() and name.endswith(SUFFIXES):
        return list_archive(path, **split, emit=emit)
    if not path.is_dir() and name.endswith(".csv"):
        return list_table(path, **split)
    return list_folder(path, **split)


def absolute_source(source: str) -> str:
    """A source that is a path as an absolute one, whether or not it is there; a name as it is."""
    from dait.data.benchmarks.catalogue import benchmarks

    named = source == "fieldguide" or source.startswith("hf:")
    if named or source.partition(":")[0] in benchmarks() or not _is_path(source):
        return source
    return str(on_disk(absolute(source)))


def _is_path(source: str) -> bool:
    # What looks like a path is meant as one even when nothing is there.
    like_a_path = {"/", os.sep} & set(source) or source.lower().endswith((*SUFFIXES, ".csv"))
    return bool(source and (like_a_path or on_disk(absolute(source)).exists()))


def _path(source: str) -> Path:
    """A source that is no name as a path; raises ``UserError`` where it is neither."""
    from dait.data.benchmarks.catalogue import benchmarks

    if _is_path(source):
        return on_disk(absolute(source))
    known = ["fieldguide", *benchmarks()]
    asked = source.lower()
    near = difflib.get_close_matches(asked, known, n=1)
    near += [name for name in known if len(asked) > 2 and asked in name]
    hint = f" Did you mean ‘{near[0]}’?" if near else ""
    raise UserError(
        f"There is no data set ‘{source}’. Use {_words(known)}, hf:owner/name of the Hugging Face "
        "hub, or the path of a folder of photographs, of an archive (.zip, .tar) of one, or of a "
        f"table (.csv) that lists them.{hint}"
    )


def _open_fieldguide(emit: Emit, **options: Any) -> Dataset:
    from dait.data.fieldguide.dataset import FieldGuideOptions, open_fieldguide

    allowed = list(inspect.signature(FieldGuideOptions).parameters)
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise UserError(
            f"The Field Guide has no option {_words(unknown)}. It has {_words(allowed)}."
        )
    return open_fieldguide(emit, **options)


def _require_options(source: str, options: Mapping[str, Any], allowed: Iterable[str]) -> None:
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise UserError(
            f"‘{source}’ has no option {_words(unknown)}; only ‘fieldguide’ has such options."
        )


def _words(names: Iterable[str]) -> str:
    return ", ".join(f"‘{name}’" for name in names)
