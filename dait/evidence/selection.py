"""Which images of a split to look at: by who is right on them, by class, by part of the split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


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
