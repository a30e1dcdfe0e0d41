"""Which images of a split to show: filters, slices, and the image behind a mark of a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np

from dait.data.fieldguide.dataset import FieldGuideOptions, slices_undrawn
from dait.evaluation.records import SeedRecord, StudyRecord

MOST_VALUES = 60
"""A slice with more values than this identifies single images."""


@dataclass(frozen=True)
class ImageFilter:
    """What an image must be.

    right, wrong: networks by their keys that must all name it right, or all wrong; label: its
    class; part: the name of a slice and its value. Empty and None ask for nothing.
    """

    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    label: int | None = None
    part: tuple[str, str] | None = None

    @property
    def anything(self) -> bool:
        """Whether every image will do."""
        return not (self.right or self.wrong or self.part) and self.label is None


def matching(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    slices: Mapping[str, np.ndarray],
    wanted: ImageFilter,
) -> np.ndarray:
    """The places of the images that are as ``wanted``, ascending.

    logits: ``(N, C)`` by network; labels: ``(N,)``; slices: names to ``(N,)`` strings. Raises
    ``KeyError`` for a network or a slice that is not among them.
    """
    kept = np.ones(len(labels), dtype=bool)
    for keys, answer in ((wanted.right, True), (wanted.wrong, False)):
        for key in keys:
            kept &= (logits[key].argmax(axis=1) == labels) == answer
    if wanted.label is not None:
        kept &= labels == wanted.label
    if wanted.part is not None:
        name, value = wanted.part
        kept &= slices[name] == value
    return np.flatnonzero(kept)


def spread(places: np.ndarray, labels: np.ndarray, count: int) -> list[int]:
    """At most ``count`` of ``places``, taken from the classes in turn, in the order of classes.

    labels: ``(N,)`` of the whole split.
    """
    turn = np.zeros(len(places), dtype=np.int64)
    for label in np.unique(labels[places]):
        own = labels[places] == label
        turn[own] = np.arange(own.sum())
    chosen = places[np.lexsort((places, turn))][:count]
    return [int(place) for place in sorted(chosen, key=lambda place: (labels[place], place))]


def test_slices(study: StudyRecord, seed: SeedRecord) -> dict[str, np.ndarray]:
    """Names to ``(N,)`` strings: what the runs kept, the classes' groups, or nothing.

    Runs of older versions kept none; those of a Field Guide are derived without drawing it.
    """
    found = dict(seed.slices) or _field_guide_slices(study)
    found = {name: cut for name, cut in found.items() if len(cut) == len(seed.labels)}
    groups = np.asarray([info.group or "other" for info in study.classes])[seed.labels]
    if len(set(groups)) > 1:
        found["group"] = groups
    return {name: cut for name, cut in found.items() if 1 < len(set(cut)) <= MOST_VALUES}


def _field_guide_slices(study: StudyRecord) -> Mapping[str, np.ndarray]:
    data = study.recipe.data
    if data.source != "fieldguide":
        return {}
    names = {field.name for field in fields(FieldGuideOptions)}
    return slices_undrawn(FieldGuideOptions(**data.model_dump(include=names)), "test")


def disputed(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """The images that some networks name right and others wrong, the most disputed first.

    logits: ``(N, C)`` by network; labels: ``(N,)``. Two networks differ by the total variation
    distance of their class probabilities, an image by the mean over all pairs; of two alike the
    first comes first. Empty with one network, and where all are right or wrong together.
    """
    right = np.stack([own.argmax(axis=1) == labels for own in logits.values()])
    images = np.flatnonzero(right.any(axis=0) & ~right.all(axis=0))
    shares = [_probabilities(own[images]) for own in logits.values()]
    distance = np.zeros(len(images))
    for one, other in combinations(shares, 2):
        distance += np.abs(one - other).sum(axis=1)
    found: np.ndarray = images[np.argsort(-distance, kind="stable")]
    return found


def surest_confusion(
    logits: np.ndarray, labels: np.ndarray, shown: Sequence[int], taken: Sequence[int]
) -> int | None:
    """Of the images of the classes ``shown`` that are taken for one of ``taken``, the surest.

    logits: ``(N, C)``; labels: ``(N,)``. None where there is none.
    """
    images = np.flatnonzero(np.isin(labels, shown) & np.isin(logits.argmax(axis=1), taken))
    if not len(images):
        return None
    return int(images[_probabilities(logits[images]).max(axis=1).argmax()])


def largest_gain(
    ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray, label: int
) -> int | None:
    """The image of class ``label`` on which the network that is better at the class leads most.

    ours, theirs: ``(N, C)`` logits of the same images; better is who has more of them right. None
    for a class without images.
    """
    images = np.flatnonzero(labels == label)
    if not len(images):
        return None
    right = [int((own[images].argmax(axis=1) == label).sum()) for own in (ours, theirs)]
    lead = _probabilities(ours[images])[:, label] - _probabilities(theirs[images])[:, label]
    return int(images[(lead if right[0] >= right[1] else -lead).argmax()])


def nearest_to_class(
    features: np.ndarray, labels: np.ndarray, label: int, other: int
) -> int | None:
    """The image of class ``label`` whose features lie nearest to the mean of class ``other``.

    features: ``(N, d)``; near is by the cosine. None where either class has no images.
    """
    images, others = (np.flatnonzero(labels == wanted) for wanted in (label, other))
    if not len(images) or not len(others):
        return None
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return int(images[(unit[images] @ unit[others].mean(axis=0)).argmax()])


def _probabilities(logits: np.ndarray) -> np.ndarray:
    """Logits → probabilities."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return found
