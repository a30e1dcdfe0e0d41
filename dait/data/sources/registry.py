"""From a name or a path to a data set."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dait.data.archives.archive import list_archive
from dait.data.archives.unpack import SUFFIXES
from dait.data.base import CROP_PCT, Dataset, Fit
from dait.data.benchmarks.catalogue import benchmarks, open_listing
from dait.data.few_labels import FewLabels
from dait.data.fieldguide.dataset import FieldGuide, FieldGuideOptions, open_fieldguide
from dait.data.folders.dataset import SIZES, ImageFileDataset
from dait.data.folders.folder import list_folder
from dait.data.folders.listing import LeftOut, Listing
from dait.data.folders.table import list_table
from dait.data.images.frame import Framing
from dait.data.sources.catalogue import FIELD_GUIDE, HUB, path_of, quoted
from dait.data.sources.hub import list_hub
from dait.errors import UserError
from dait.events import Emit, ignore
from dait.storage.cache import cache_dir
from dait.storage.files import sweep


def open_dataset(
    source: str,
    *,
    size: int,
    seed: int = 0,
    habitat_bias: float = 0.7,
    val_fraction: float = 0.1,
    crop_pct: float = CROP_PCT,
    fit: Fit = "crop",
    labelled_per_class: int | None = None,
    use_unlabelled: bool = True,
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
    labelled_per_class: training images of a class that keep their labels, chosen by ``seed``; the
        others become unlabelled images. None: all. use_unlabelled: False leaves out unlabelled
        images, these and those that the data has.
    habitat_bias and options: the Field Guide's (``train_per_class``, ``species``, ...). A benchmark
        has the options ``mirror`` (an address that has its published files) and ``folder``.

    Raises ``UserError`` for an unknown name, unusable files, a download that fails, or an option
    that does not fit.
    """
    for folder in ("archives", "hub"):  # what a killed process left there may be gigabytes
        sweep(cache_dir() / folder)
    if source == FIELD_GUIDE:
        options |= {"size": size, "seed": seed, "habitat_bias": habitat_bias}
        guide = _open_fieldguide(emit, **options)
        return _with_labels(guide, labelled_per_class, seed, use_unlabelled)
    low, high = SIZES
    if not low <= size <= high:  # before anything is downloaded
        raise UserError(f"Images are {low} to {high} pixels a side, not {size}. Change it.")
    split: dict[str, Any] = {"val_fraction": val_fraction, "split_seed": seed}
    if source.partition(":")[0] in benchmarks():
        _require_options(source, options, ("folder", "mirror"))
        listing = open_listing(source, **split, **options, emit=emit)
    elif source.startswith(HUB):
        _require_options(source, options, ())
        listing = list_hub(source.removeprefix(HUB), **split, emit=emit)
    else:
        listing = _list_path(path_of(source), split, options, emit)
    if not use_unlabelled:
        listing = _without_unlabelled(listing)
    photographs = ImageFileDataset(listing, Framing(size, crop_pct, fit), emit)
    return _with_labels(photographs, labelled_per_class, seed, use_unlabelled)


def _with_labels(
    data: FieldGuide | ImageFileDataset, per_class: int | None, seed: int, use_rest: bool
) -> Dataset:
    if per_class is None:
        return data
    if per_class < 1:
        raise UserError(
            f"Of a class 1 training image or more keeps its label, not {per_class}. Change "
            "data.labelled_per_class, or leave it empty to use all labels."
        )
    return FewLabels(data, per_class, seed, use_rest)


def _without_unlabelled(listing: Listing) -> Listing:
    """The listing as if it had no unlabelled images; that there are some is said."""
    splits = dict(listing.splits)
    entries = splits.pop("unlabelled", ())
    if not entries:
        return listing
    left = LeftOut(len(entries), entries[0].id, "data.use_unlabelled is false")
    return replace(listing, splits=splits, left_out=(*listing.left_out, left))


def _list_path(
    path: Path, split: Mapping[str, Any], options: Mapping[str, Any], emit: Emit
) -> Listing:
    _require_options(str(path), options, ())
    name = path.name.lower()
    if not path.is_dir() and name.endswith(SUFFIXES):
        return list_archive(path, **split, emit=emit)
    if not path.is_dir() and name.endswith(".csv"):
        return list_table(path, **split)
    return list_folder(path, **split)


def _open_fieldguide(emit: Emit, **options: Any) -> FieldGuide:
    allowed = list(inspect.signature(FieldGuideOptions).parameters)
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise UserError(
            f"The Field Guide has no option {quoted(unknown)}. It has {quoted(allowed)}."
        )
    return open_fieldguide(emit, **options)


def _require_options(source: str, options: Mapping[str, Any], allowed: Iterable[str]) -> None:
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise UserError(
            f"‘{source}’ has no option {quoted(unknown)}; only ‘{FIELD_GUIDE}’ has such options."
        )
