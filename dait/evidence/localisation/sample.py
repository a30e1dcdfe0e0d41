"""The test images whose heatmaps are scored, with masks of their objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import Dataset, Split
from dait.evaluation.features.similarity import stratified_sample
from dait.evaluation.results.localisation import MeanInterval
from dait.evidence.localisation.intervals import mean_interval
from dait.evidence.localisation.objects import object_labels


@dataclass(frozen=True)
class Sample:
    """``n`` test images. indices: ``(n,)`` into the split; objects: as of ``object_labels``."""

    split: Split
    indices: np.ndarray
    objects: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> np.ndarray:
        """``(n,)`` int64, the true classes."""
        return np.asarray(self.split.labels)[self.indices]

    def images(self, places: np.ndarray | range) -> Tensor:
        """``(b, 3, S, S)`` in [0, 1]: the images at these places of the sample."""
        chosen = self.indices[places]
        return view_batch(self.split.images[chosen], chosen, 0, ViewPolicy("original"))

    def some(self, count: int) -> np.ndarray:
        """Indices of at most ``count`` images of the sample, stratified by class."""
        return stratified_sample(self.labels, count, seed=1)

    def area(self, least: int) -> MeanInterval | None:
        """The share of the image that labels from ``least`` on take up, where they are seen."""
        shares = (self.objects >= least).mean(axis=(1, 2))
        return mean_interval(np.where(shares > 0, shares, np.nan))


def sample_of(data: Dataset, count: int) -> Sample:
    """At most ``count`` images of the test split, always the same ones.

    Raises ``UserError`` for data that marks no objects.
    """
    split = data.split("test")
    indices = stratified_sample(np.asarray(split.labels), count)
    return Sample(split, indices, object_labels(data, split, indices))
