"""Data sets that are looked at: opened, decoded and reported in the background, then kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.background import Work, Workers
from app.catalogue.sources import FIELD_GUIDE, UPLOAD, Sources
from app.policy import Policy
from dait.config.recipe import Recipe, load_recipe
from dait.data.base import SPLITS, SplitName
from dait.errors import UserError
from dait.events import Emit

if TYPE_CHECKING:
    from dait.data.base import Dataset
    from dait.data.report import DataReport
    from dait.teachers.zero_shot import ZeroShot

SIZES = (48, 64, 96, 128, 160, 224)
"""Sides of the images in pixels that can be chosen."""

AS_IN_RECIPE = 0
KEPT = 4
"""Data sets that stay open; their images are read from disk as they are looked at."""

SOON_SECONDS = 0.6
"""How long a visitor is kept waiting for what may be there at once."""

Key = tuple[str, int]


@dataclass(frozen=True)
class OpenDataset:
    """A data set that was read: its splits are decoded, its report is made."""

    value: str
    dataset: Dataset
    report: DataReport

    @cached_property
    def places(self) -> dict[str, tuple[SplitName, int]]:
        """Where each image is, by its id."""
        return {
            image_id: (name, index)
            for name in SPLITS
            for index, image_id in enumerate(self.dataset.split(name).ids)
        }

    def sample(self, split: SplitName, label: int | None, page: int, count: int) -> list[int]:
        """Indices of the ``page``-th ``count`` images of a split, of one class or round all.

        The pages go round: after the last comes the first.
        """
        labels = np.asarray(self.dataset.split(split).labels)
        order = round_the_classes(labels) if label is None else np.flatnonzero(labels == label)
        if not len(order):
            return []
        pages = -(-len(order) // count)
        start = (page % pages) * count
        return [int(index) for index in order[start : start + count]]


def round_the_classes(labels: np.ndarray) -> np.ndarray:
    """Indices of ``labels``: the first of every class, then the second of every class, …"""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(ordered)])
    rank = np.arange(len(ordered)) - np.repeat(starts, lengths)
    return order[np.lexsort((ordered, rank))]


class Readings:
    """What is being read and what was read, for all visitors alike."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._policy = Policy(sources.config)
        self._readings: Workers[OpenDataset] = Workers()
        self._scorers: Workers[ZeroShot] = Workers()
        self._lock = threading.Lock()
        self._opened: OrderedDict[Key, OpenDataset] = OrderedDict()
        self._new: set[str] = set()

    def recipe(self, value: object, size: object) -> Recipe:
        """A recipe that trains on this data. Raises ``UserError`` for values that will not do."""
        source = self.sources.resolve(value)
        recipe = load_recipe("demo" if value == FIELD_GUIDE else "quick")
        if size in (AS_IN_RECIPE, None):
            return recipe.changed({"data.source": source})
        if size not in SIZES:
            raise UserError(f"Choose the size from the list: {', '.join(map(str, SIZES))} pixels.")
        return recipe.changed({"data.source": source, "data.size": size})

    def start(self, value: object, size: object) -> Work[OpenDataset]:
        """Read a data set, or look whether what was read still holds.

        Raises ``UserError`` for values that will not do; what goes wrong later is in the work.
        """
        recipe, key = self.recipe(value, size), _key(value, size)
        return self._readings.start(key, lambda emit: self._read(key, recipe, emit))

    def get(self, value: object, size: object) -> Work[OpenDataset] | None:
        """The reading of a data set, if it was asked for lately."""
        return self._readings.get(_key(value, size))

    def opened(self, value: object, size: object) -> OpenDataset:
        """A data set that was read. Raises ``UserError`` where it was not, or is forgotten."""
        with self._lock:
            found = self._opened.get(_key(value, size))
        if found is None:
            raise UserError("This data set is not open any more. Choose it again.")
        return found

    def keep_upload(self, sent: str | Path, called: str) -> str:
        """Keep an uploaded archive; its value. One that turns out to be unusable is deleted."""
        name = self.sources.uploads.keep(sent, called)
        with self._lock:
            self._new.add(UPLOAD + name)
        return UPLOAD + name

    def scorer(self, value: object, size: object, teacher: str) -> Work[ZeroShot]:
        """What scores prompts on this data set, which was read, with this teacher."""
        opened = self.opened(value, size)
        # What was read anew is another data set, though it has the same name.
        key = (*_key(value, size), opened.dataset.fingerprint, teacher)
        work = self._scorers.get(key)
        if work is None or work.error is not None:
            self._policy.require_teacher(teacher)
            return self._scorers.start(key, lambda emit: _load_scorer(opened, teacher, emit))
        return work

    def delete_upload(self, value: object) -> None:
        """Delete an upload for everybody. Raises ``UserError`` for what is no upload."""
        if not isinstance(value, str) or not value.startswith(UPLOAD):
            raise UserError("Only uploaded data can be deleted here.")
        self.sources.uploads.delete(value.removeprefix(UPLOAD))
        with self._lock:
            for key in [key for key in self._opened if key[0] == value]:
                del self._opened[key]

    def _read(self, key: Key, recipe: Recipe, emit: Emit) -> OpenDataset:
        value = key[0]
        try:
            found = self._open(key, recipe, emit)
        except Exception:
            if self._is_new(value):
                self.sources.uploads.delete(value.removeprefix(UPLOAD))
            raise
        self._is_new(value)
        with self._lock:
            self._opened[key] = found
            self._opened.move_to_end(key)
            while len(self._opened) > KEPT:
                self._opened.popitem(last=False)
        return found

    def _open(self, key: Key, recipe: Recipe, emit: Emit) -> OpenDataset:
        from dait.data.report import report
        from dait.study.context import open_data

        self._policy.require_data(recipe.data.source)
        dataset = open_data(recipe, emit)
        with self._lock:
            known = self._opened.get(key)
        if known is not None and known.dataset.fingerprint == dataset.fingerprint:
            return known
        return OpenDataset(key[0], dataset, report(dataset, emit))

    def _is_new(self, value: str) -> bool:
        """Whether an upload had not been read before; it is not new from now on."""
        with self._lock:
            new = value in self._new
            self._new.discard(value)
            return new


def _load_scorer(opened: OpenDataset, teacher: str, emit: Emit) -> ZeroShot:
    from dait.events import Note
    from dait.teachers.registry import load_teacher
    from dait.teachers.zero_shot import ZeroShot

    emit(Note("Loading the frozen teacher"))
    loaded = load_teacher(teacher)
    emit(Note("The frozen teacher looks at the validation images"))
    return ZeroShot(loaded, opened.dataset)


def _key(value: object, size: object) -> Key:
    return str(value), size if isinstance(size, int) else AS_IN_RECIPE
