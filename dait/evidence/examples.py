"""The image that stands for a mark of a figure: what to look at when somebody points at it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def of_confusion(
    logits: np.ndarray, labels: np.ndarray, shown: Sequence[int], taken: Sequence[int]
) -> int | None:
    """Of the images of the classes ``shown`` that are taken for one of ``taken``, the surest.

    logits: ``(N, C)``; labels: ``(N,)``. None where there is none.
    """
    images = np.flatnonzero(np.isin(labels, shown) & np.isin(logits.argmax(axis=1), taken))
    if not len(images):
        return None
    return int(images[_shares(logits[images]).max(axis=1).argmax()])


def of_gain(ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray, label: int) -> int | None:
    """The image of class ``label`` where the network that is ahead on it is most so.

    ours, theirs: ``(N, C)`` logits of the same images; ahead is who has more of them right. None
    for a class without images.
    """
    images = np.flatnonzero(labels == label)
    if not len(images):
        return None
    right = [int((own[images].argmax(axis=1) == label).sum()) for own in (ours, theirs)]
    lead = _shares(ours[images])[:, label] - _shares(theirs[images])[:, label]
    return int(images[(lead if right[0] >= right[1] else -lead).argmax()])


def of_similarity(features: np.ndarray, labels: np.ndarray, label: int, other: int) -> int | None:
    """The image of class ``label`` whose features lie nearest to the mean of class ``other``.

    features: ``(N, d)``; near is by the cosine. None where either class has no images.
    """
    images, others = (np.flatnonzero(labels == wanted) for wanted in (label, other))
    if not len(images) or not len(others):
        return None
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return int(images[(unit[images] @ unit[others].mean(axis=0)).argmax()])


def _shares(logits: np.ndarray) -> np.ndarray:
    """Logits → probabilities."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return found
