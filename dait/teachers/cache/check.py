"""Recompute a sample of the kept embeddings and compare it with the teacher of today."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dait.data.augmentation.views import view_batch
from dait.teachers.cache.view_set import Shard, ViewSet, shard_files
from dait.teachers.cache.views import TeacherViews

LEAST_COSINE = 0.999
"""Least cosine of an embedding that is the teacher's: fp16 costs below 1e-6, autocast 1e-5."""


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    checked: embeddings recomputed. cosine: the lowest between one kept and one recomputed, 1 where
    nothing was checked; worst: its view and image. damaged: names of shards that cannot be read.
    """

    checked: int
    cosine: float
    worst: tuple[int, int] | None
    damaged: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not self.damaged and self.cosine > LEAST_COSINE


def check(views: TeacherViews, sample: int = 64, seed: int = 0) -> Verdict:
    """Recompute ``sample`` of the kept (view, image) pairs, chosen at random.

    Every shard's length and form is checked. Raises ``UserError`` where data or teacher cannot be
    used.
    """
    kept, here, damaged = views.kept(), list[Shard](), list[str]()
    for view, start, file in shard_files(kept.folder):
        fitting = [shard for shard in kept.shards(view) if shard.start == start]
        if fitting and kept.is_whole(fitting[0]):
            here += fitting
        else:
            damaged.append(file.name)
    worst, lowest, checked = None, 1.0, 0
    for view, rows in _sampled(here, sample, seed).items():
        index = np.array(sorted(rows))
        cosines = _cosines(views, kept, view, index)
        checked += len(cosines)
        if cosines.min() < lowest:
            lowest, worst = float(cosines.min()), (view, int(index[cosines.argmin()]))
    return Verdict(checked, lowest, worst, tuple(damaged))


def differences(kept: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The entries of a manifest that have changed, in words; empty where none has."""
    return [
        f"{name.replace('_', ' ')} was {kept.get(name)}, now {value}"
        for name, value in now.items()
        if kept.get(name) != value
    ]


def description_of(views: TeacherViews) -> dict[str, Any]:
    """The manifest that these views would have now."""
    return asdict(views.kept().description)


def _sampled(shards: list[Shard], sample: int, seed: int) -> dict[int, set[int]]:
    """View to images. Random images of random shards: a forward pass a view, few views."""
    rng, found = np.random.default_rng(seed), defaultdict[int, set[int]](set)
    if not shards:
        return {}
    weights = np.array([len(shard) for shard in shards], dtype=float)
    groups = min(len(shards), max(1, sample // 16))
    picks = rng.choice(len(shards), groups, replace=False, p=weights / weights.sum())
    for part, pick in zip(np.array_split(np.arange(sample), groups), picks, strict=True):
        shard = shards[pick]
        size = min(len(part), len(shard))
        found[shard.view].update((shard.start + rng.choice(len(shard), size, False)).tolist())
    return found


def _cosines(views: TeacherViews, kept: ViewSet, view: int, index: np.ndarray) -> np.ndarray:
    images = views.images.uncropped
    pixels = view_batch(images[index], index, view, views.policy)
    now = views.embedder.embed(pixels).cpu().numpy().astype(np.float64)
    then = np.empty_like(now)
    for shard in kept.shards(view):
        inside = (index >= shard.start) & (index < shard.stop)
        if inside.any() and (rows := kept.read(shard)) is not None:
            then[inside] = rows[index[inside] - shard.start]
    with np.errstate(invalid="ignore"):  # infinite: found out below
        lengths = np.linalg.norm(then, axis=1) * np.linalg.norm(now, axis=1)
        cosines: np.ndarray = (then * now).sum(axis=1) / np.maximum(lengths, 1e-12)
    return np.nan_to_num(cosines, nan=-1.0)
