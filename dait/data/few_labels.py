"""A data set of whose training images only a few keep their labels."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from dait.data.base import Dataset, Split, SplitName, no_images
from dait.data.fieldguide.dataset import FieldGuide
from dait.data.folders.dataset import ImageFileDataset
from dait.data.pool import joined, part_of, without_labels


class FewLabels:
    """``whole``, but of its training images ``per_class`` of each class keep their labels.

    The others become unlabelled images, before those that ``whole`` has, or are left out where
    ``use_rest`` is false. A class that has fewer images keeps all its labels. Images of a class are
    ordered by a hash of seed and id, so a larger ``per_class`` keeps the labels of a smaller one.
    Validation and test images are those of ``whole``, pixels are read where they lie, and what else
    ``whole`` offers (its listing, its reader) is offered here.
    """

    def __init__(
        self,
        whole: FieldGuide | ImageFileDataset,
        per_class: int,
        seed: int = 0,
        use_rest: bool = True,
    ) -> None:
        self.whole, self.per_class, self.seed, self.use_rest = whole, per_class, seed, use_rest
        self.name, self.size, self.classes = whole.name, whole.size, whole.classes
        self.part_names, self.licence, self.homepage = (
            whole.part_names,
            whole.licence,
            whole.homepage,
        )
        self._splits: dict[SplitName, Split] = {}
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name == "whole" or name.startswith("__"):  # while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.whole, name)

    @property
    def problems(self) -> Any:
        return self.whole.problems

    @property
    def fingerprint(self) -> str:
        return self._marked(self.whole.fingerprint)

    def fingerprint_read_by(self, reader: Mapping[str, str]) -> str:
        """The fingerprint where other versions read or draw the images."""
        return self._marked(self.whole.fingerprint_read_by(reader))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Those of ``whole``, and how many images keep their labels."""
        found = np.bincount(self.whole.listed_labels("train"), minlength=len(self.classes))
        kept, all_images = int(np.minimum(found, self.per_class).sum()), int(found.sum())
        rest = "the others are unlabelled" if self.use_rest else "the others are left out"
        lines = [
            f"{kept:,} of {all_images:,} training images keep their labels, {self.per_class:,} of "
            f"each class, chosen by the seed {self.seed}; {rest}."
        ]
        few = np.flatnonzero(found < self.per_class)
        if len(few):
            lines.append(
                f"{len(few):,} of {len(self.classes):,} classes have fewer than "
                f"{self.per_class:,} training images and keep all their labels; the first is "
                f"‘{self.classes[int(few[0])].key}’."
            )
        return (*self.whole.notes, *lines)

    def counts(self) -> dict[SplitName, int]:
        """Images per split, without decoding or drawing any."""
        counts = self.whole.counts()
        found = np.bincount(self.whole.listed_labels("train"), minlength=len(self.classes))
        kept = int(np.minimum(found, self.per_class).sum())
        unlabelled = counts.pop("unlabelled", 0) + counts["train"] - kept
        more: dict[SplitName, int] = {"unlabelled": unlabelled} if unlabelled else {}
        return counts | {"train": kept} | (more if self.use_rest else {})

    def split(self, name: SplitName) -> Split:
        """As of ``whole``, with labels that few training images have."""
        if name not in ("train", "unlabelled"):
            return self.whole.split(name)
        with self._lock:
            if name not in self._splits:
                self._splits[name] = self._train() if name == "train" else self._unlabelled()
            return self._splits[name]

    def _train(self) -> Split:
        return part_of(self.whole.split("train"), np.flatnonzero(self._keeps))

    def _unlabelled(self) -> Split:
        if not self.use_rest:
            return no_images(self.size)
        rest = without_labels(self.whole.split("train"), np.flatnonzero(~self._keeps))
        more = self.whole.split("unlabelled")
        return joined(rest, more) if len(more) else rest

    @cached_property
    def _keeps(self) -> np.ndarray:
        """``(N,)``: which training images keep their labels."""
        train = self.whole.split("train")
        hashes = [
            hashlib.sha256(f"{self.seed}/labels/{name}".encode("utf-8", "surrogateescape")).digest()
            for name in train.ids
        ]
        found = np.zeros(len(train), dtype=bool)
        for label in range(len(self.classes)):
            of_class = np.flatnonzero(train.labels == label).tolist()
            found[sorted(of_class, key=hashes.__getitem__)[: self.per_class]] = True
        return found

    def _marked(self, fingerprint: str) -> str:
        facts = f"{fingerprint} {self.per_class} {self.seed} {self.use_rest}"
        return hashlib.sha256(facts.encode()).hexdigest()[:20]


def with_all_labels(data: Dataset) -> Dataset:
    """The data set itself, or the one of which only few labels are used."""
    return data.whole if isinstance(data, FewLabels) else data
