"""Whether an image is unlike anything that a network was trained on, by its pooled features.

The distance is Mahalanobis': from an image's features to the nearest class mean of the training
images, with one covariance for all classes (Lee et al. 2018, "A Simple Unified Framework for
Detecting Out-of-Distribution Samples and Adversarial Attacks"). It is taken twice, of the features
and of their directions alone (Müller and Hein 2025, "Mahalanobis++"), and the larger one counts:
networks from scratch answer strange images with strange lengths, pretrained ones with short
features that lie near every mean. Of a covariance the largest directions are kept, and one variance
for all others, as probabilistic PCA has it (Tipping and Bishop 1999): so it exists with fewer
images than features, and stays small enough to be shipped.

``docs/familiarity.md`` has the measurements by which it was chosen. Imports NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from dait.evaluation.features.similarity import unit_length

FAMILIAR = 0.99
"""The share of validation images that are called familiar: it sets the scale."""
DIRECTIONS = 64
"""Most directions of a covariance that are kept."""

_FLOOR = 1e-3
"""Of the mean variance, added to each: a feature that never varies must not decide alone."""


@dataclass(frozen=True)
class Familiarity:
    """What a network's training images look like to it, and how far is too far.

    Every array comes twice, of the features ``[0]`` and of features of unit length ``[1]``. means:
    ``(2, M, d)`` float32, of the M classes with training images; directions: ``(2, k, d)``, unit
    vectors; variances: ``(2, k)`` along them; rest: ``(2,)``, the variance in every other
    direction; scale: ``(2,)``, what squared distances are divided by.
    """

    means: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    rest: np.ndarray
    scale: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """``(N, d)`` pooled features → ``(N,)``: above 1 an image is unlike anything trained on."""
        return self.squared_distances(features).max(axis=0)

    def unlike(self, features: np.ndarray) -> np.ndarray:
        """``(N, d)`` → ``(N,)`` bool; features that are not finite are unlike any."""
        return ~(self.distance(features) <= 1)

    def squared_distances(self, features: np.ndarray) -> np.ndarray:
        """``(N, d)`` → ``(2, N)``, to the nearest class mean, in units of ``scale``."""
        found = []
        for side, rows in enumerate(_both(features)):
            nearest = np.full(len(rows), np.inf)
            for mean in self.means[side]:
                apart = rows - mean
                along = np.square(apart @ self.directions[side].T)
                others = np.maximum(np.square(apart).sum(axis=1) - along.sum(axis=1), 0)
                squared = (along / self.variances[side]).sum(axis=1) + others / self.rest[side]
                nearest = np.minimum(nearest, squared)
            found.append(nearest / self.scale[side])
        return np.stack(found)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name; ``Familiarity(**arrays)`` is the same again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def fit_familiarity(
    train: np.ndarray, labels: np.ndarray, val: np.ndarray, share: float = FAMILIAR
) -> Familiarity | None:
    """Of ``(N, d)`` features of training images with labels, and ``(V, d)`` of validation images.

    share: of the validation images, those that are to be familiar. Training images without a label
    (negative) are left out. None where there is too little to tell: no validation image, or
    features that do not vary or are not finite.
    """
    train, labels = np.asarray(train)[labels >= 0], labels[labels >= 0]
    if not len(train) or not len(val) or not (np.isfinite(train).all() and np.isfinite(val).all()):
        return None
    sides = [_fit(rows, labels) for rows in _both(train)]
    if any(side is None for side in sides):
        return None
    stacked = {
        name: np.stack([side[name] for side in sides if side is not None]).astype(np.float32)
        for name in ("means", "directions", "variances", "rest")
    }
    raw = Familiarity(**stacked, scale=np.ones(2, np.float32)).squared_distances(val)
    # Both sides in the same unit first: the larger one is compared.
    own = np.maximum(np.quantile(raw, share, axis=1), np.finfo(np.float32).tiny)
    largest = (raw / own[:, None]).max(axis=0)
    scale = own * max(float(np.quantile(largest, share)), 1e-6)
    return Familiarity(**stacked, scale=scale.astype(np.float32))


def by_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> Familiarity | None:
    """The one whose arrays have this prefix; None where not all are there or do not fit."""
    names = [field.name for field in fields(Familiarity)]
    try:
        found = Familiarity(**{name: arrays[prefix + name] for name in names})
    except KeyError:
        return None
    sides, width = (2,), found.means.shape[-1:]
    count = found.variances.shape[-1:]
    fits = (
        found.means.shape[:1] == found.rest.shape == found.scale.shape == sides
        and found.means.ndim == 3
        and found.directions.shape == (*sides, *count, *width)
        and found.variances.shape == (*sides, *count)
    )
    return found if fits else None


def _both(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features as they are and of unit length, as float64."""
    return np.asarray(features, dtype=np.float64), unit_length(features)


def _fit(rows: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray] | None:
    """Means, directions, variances and rest of one side; None where nothing varies."""
    known = np.unique(labels)
    means = np.stack([rows[labels == label].mean(axis=0) for label in known])
    apart = rows - means[np.searchsorted(known, labels)]
    if len(known) == len(rows):  # one image a class: all that varies is from class to class
        apart = rows - rows.mean(axis=0)
    width, total = rows.shape[1], float(np.square(apart).sum()) / len(rows)
    if total <= np.finfo(np.float32).tiny:
        return None
    _, values, directions = np.linalg.svd(apart, full_matrices=False)
    variances = np.square(values) / len(rows)
    count = min(DIRECTIONS, len(variances))
    floor = _FLOOR * total / width
    left = max(total - float(variances[:count].sum()), 0) / max(width - count, 1)
    return {
        "means": means,
        "directions": directions[:count],
        "variances": variances[:count] + floor,
        "rest": np.asarray(left + floor),
    }
