"""One network's heatmaps of the sample, scored by masks and by ROAD."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dait.errors import UserError
from dait.evaluation.results.localisation import Target
from dait.evidence.heatmaps.cam import Heatmaps, explain
from dait.evidence.localisation.faithfulness import road
from dait.evidence.localisation.objects import PART_NAMES
from dait.evidence.localisation.sample import Sample
from dait.evidence.localisation.scores import localise

BATCH = 32
_ROAD_BATCH = 10
_ALIKE = 0.98
"""Least mean cosine between kept logits and those of today's images: fp16 weights and another
version of Pillow stay above it, other images do not."""

Arrays = dict[str, np.ndarray]


def by_masks(
    network: nn.Module,
    method: str,
    target: Target,
    sample: Sample,
    recorded: np.ndarray | None,
) -> Arrays:
    """``(n,)`` arrays over the sample: the figures of ``scores.Localisation``; NaN: no figure.

    ``mass``, ``pointing``, ``rank``, ``part_mass`` (of the distinguishing parts), ``empty``,
    ``unmasked``; ``target``, ``predicted`` and ``indices`` are the explained class, the prediction
    and the test image. recorded: ``(N, C)`` logits of the whole split when the study was trained.
    Raises ``UserError`` where the same images give other logits today.
    """
    found = [
        _maps(network, method, target, sample, places)
        for places in np.split(np.arange(len(sample)), range(BATCH, len(sample), BATCH))
    ]
    if recorded is not None:
        _require_same(recorded, sample, torch.cat([part.logits for part in found]).numpy())
    scores = localise(torch.cat([part.raw for part in found]), sample.objects, PART_NAMES)
    return {
        "mass": scores.mass.astype(np.float32),
        "pointing": scores.pointing.astype(np.float32),
        "rank": scores.rank.astype(np.float32),
        "part_mass": scores.part_mass[:, 1].astype(np.float32),
        "empty": scores.empty,
        "unmasked": scores.unmasked,
        "target": torch.cat([part.target for part in found]).numpy(),
        "predicted": torch.cat([part.predicted for part in found]).numpy(),
        "indices": sample.indices,
        "method": np.array(method),
    }


def by_road(
    network: nn.Module, method: str, target: Target, sample: Sample, count: int
) -> np.ndarray:
    """``(n,)`` float32: ROAD of ``count`` of the sample's images, NaN for the others."""
    scores = np.full(len(sample), np.nan, dtype=np.float32)
    places = sample.some(count)
    for some in np.split(places, range(_ROAD_BATCH, len(places), _ROAD_BATCH)):
        found = _maps(network, method, target, sample, some)
        scores[some] = road(network, sample.images(some), found.raw, found.target)
    return scores


def _maps(
    network: nn.Module, method: str, target: Target, sample: Sample, places: np.ndarray
) -> Heatmaps:
    asked: Tensor | None = None
    if target == "true":
        asked = torch.from_numpy(sample.labels[places])
    return explain(network, sample.images(places), asked, method)


def _require_same(recorded: np.ndarray, sample: Sample, now: np.ndarray) -> None:
    """Images can change after a training; then the figures would be of other images."""
    if len(recorded) == len(sample.split):
        then = recorded[sample.indices]
        lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(then, axis=1)
        cosines = (now * then).sum(axis=1) / np.maximum(lengths, 1e-12)
        if cosines.mean() >= _ALIKE:
            return
    raise UserError(
        "the test images are not those that it was trained and tested with: the data, or how it is "
        "drawn, has changed since. Train the study again."
    )
