"""Data sets that are opened, decoded and reported in the background, then cached."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.background import Job, JobPool
from app.catalogue.sources import FIELD_GUIDE, UPLOAD, Sources
from app.policy import Policy
from app.server.loader import engine
from dait.config.recipe import Recipe, load_recipe
from dait.data.base import ALL_SPLITS, Dataset, SplitName
from dait.data.inspection.report import DataReport
from dait.errors import UserError
from dait.events import Emit

if TYPE_CHECKING:
    from dait.teachers.zero_shot import ZeroShot

SIZES = (48, 64, 96, 128, 160, 224)
"""Sides of the images in pixels that can be chosen."""

AS_IN_RECIPE = 0
KEPT = 4
"""Data sets that stay open; their images are read from disk when they are shown."""

SOON_SECONDS = 0.6
"""How long a request waits for a result before it shows progress."""

Key = tuple[str, int]


@dataclass(frozen=True)
class OpenDataset:
    """A data set with decoded splits and its report."""

    value: str
    dataset: Dataset
    report: DataReport

    @cached_property
    def positions(self) -> dict[str, tuple[SplitName, int]]:
        """Split and index of each image, by its id."""
        return {
            image_id: (name, index)
            for name in ALL_SPLITS
            for index, image_id in enumerate(self.dataset.split(name).ids)
        }

    def sample(self, split: SplitName, label: int | None, page: int, count: int) -> list[int]:
        """Indices of the ``page``-th ``count`` images of a split, of one class or of all in turn.

        After the last page comes the first.
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
    """Running readings and open data sets, shared by all visitors."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._policy = Policy(sources.config)
        self._readings: JobPool[OpenDataset] = JobPool()
        self._scorers: JobPool[ZeroShot] = JobPool()
        self._lock = threading.Lock()
        self._opened: OrderedDict[Key, OpenDataset] = OrderedDict()
        self._new: set[str] = set()

    def recipe(self, value: object, size: object) -> Recipe:
        """A recipe that trains on this data. Raises ``UserError`` for invalid values."""
        source = self.sources.resolve(value)
        recipe = load_recipe("demo" if value == FIELD_GUIDE else "photos")
        if size in (AS_IN_RECIPE, None):
            return recipe.changed({"data.source": source})
        if size not in SIZES:
            raise UserError(f"Choose the size from the list: {', '.join(map(str, SIZES))} pixels.")
        return recipe.changed({"data.source": source, "data.size": size})

    def start(self, value: object, size: object) -> Job[OpenDataset]:
        """Read a data set, or check whether an open one is still current.

        Raises ``UserError`` for invalid values; later errors are in the job.
        """
        recipe, key = self.recipe(value, size), _key(value, size)
        return self._readings.start(key, lambda emit: self._read(key, recipe, emit))

    def get(self, value: object, size: object) -> Job[OpenDataset] | None:
        """The recent reading of a data set, if there is one."""
        return self._readings.get(_key(value, size))

    def opened(self, value: object, size: object) -> OpenDataset:
        """An open data set. Raises ``UserError`` if it is not open."""
        with self._lock:
            found = self._opened.get(_key(value, size))
        if found is None:
            raise UserError("This data set is not open any more. Choose it again.")
        return found

    def keep_upload(self, sent: str | Path, called: str) -> str:
        """Keep an uploaded archive; returns its value. It is deleted if it cannot be read."""
        name = self.sources.uploads.keep(sent, called)
        with self._lock:
            self._new.add(UPLOAD + name)
        return UPLOAD + name

    def scorer(self, value: object, size: object, teacher: str) -> Job[ZeroShot]:
        """The job that loads what scores prompts on this open data set with this teacher."""
        opened = self.opened(value, size)
        # A data set that was read again may have changed under the same name.
        key = (*_key(value, size), opened.dataset.fingerprint, teacher)
        job = self._scorers.get(key)
        if job is None or job.error is not None:
            self._policy.require_teacher(teacher)
            return self._scorers.start(
                key, lambda emit: engine().zero_shot(teacher, opened.dataset, emit)
            )
        return job

    def delete_upload(self, value: object) -> None:
        """Delete an upload for everybody. Raises ``UserError`` for anything else."""
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
        self._policy.require_data(recipe.data.source)
        dataset = engine().open_data(recipe, emit)
        with self._lock:
            known = self._opened.get(key)
        if known is not None and known.dataset.fingerprint == dataset.fingerprint:
            return known
        return OpenDataset(key[0], dataset, engine().report(dataset, emit))

    def _is_new(self, value: str) -> bool:
        """Whether an upload was never read before; afterwards it is not new any more."""
        with self._lock:
            new = value in self._new
            self._new.discard(value)
            return new


def _key(value: object, size: object) -> Key:
    return str(value), size if isinstance(size, int) else AS_IN_RECIPE
