"""Open comparisons: networks are loaded once, and images and heatmaps are cached."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from app.comparisons.batches import Batches
from app.config import AppConfig
from app.studies.entries import open_study
from dait.evaluation.records import VLM
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.explanation import Explanation, NetworkPrediction, Question

KEPT_COMPARISONS = 3
"""Comparisons kept open; each holds five small networks and a teacher in memory."""
BATCH_SIZE = 8
"""Images in one forward pass: in a batch of 8 an image costs half; larger ones gain nothing."""
KEPT_ROWS = 64
KEPT_IMAGES = 600

Made = TypeVar("Made")


class OpenComparison:
    """One comparison with its cached images and rows of heatmaps. Thread-safe."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._rows: OrderedDict[tuple[str, Question], list[Explanation]] = OrderedDict()
        self._images: OrderedDict[int, np.ndarray] = OrderedDict()
        self._samples: list[tuple[int, np.ndarray, int]] | None = None
        # Separate locks, so that cached values are available while others draw or explain.
        self._lock, self._drawing, self._explaining = (threading.Lock() for _ in range(3))
        self._made: dict[tuple[object, ...], Any] = {}
        self._answers = Batches(comparison.predict_batch, BATCH_SIZE)

    def once(self, make: Callable[..., Made], *choices: object) -> Made:
        """``make(comparison, *choices)``, made for the first request and cached.

        For what a study has few of, such as its figures: nothing is ever left out again.
        """
        key = (make, *choices)
        if key not in self._made:  # no lock: what takes minutes must not keep the others waiting
            self._made[key] = make(self.comparison, *choices)
        return self._made[key]

    def samples(self, count: int) -> list[tuple[int, np.ndarray, int]]:
        """At most ``count`` test images over the classes: (index, (S, S, 3) uint8, label).

        Drawn or decoded once and cached.
        """
        with self._drawing:
            if self._samples is None:
                chosen = self.comparison.gallery(count)
                self._samples = [(index, *self.comparison.test_image(index)) for index in chosen]
            return self._samples

    def image(self, index: int) -> np.ndarray:
        """A test image, ``(S, S, 3)`` uint8; the last ``KEPT_IMAGES`` are cached."""
        found = self._images.get(index)
        if found is None:
            found = self._images[index] = self.comparison.test_image(index)[0]
            while len(self._images) > KEPT_IMAGES:
                self._images.popitem(last=False)
        return found

    def answers(self, images: Sequence[np.ndarray]) -> list[dict[str, NetworkPrediction]]:
        """``Comparison.predict_batch``, in batches with other requests for this study."""
        return self._answers.of(images)

    def row(self, image: np.ndarray, question: Question) -> list[Explanation]:
        """``Comparison.explain``, cached. One at a time: Grad-CAM hooks the shared networks.

        A sentence is for networks that read text; the others explain the class.
        """
        key = (hashlib.sha256(image.tobytes()).hexdigest(), question)
        found = self._kept_row(key)
        if found is not None:
            return found
        with self._explaining:
            found = self._kept_row(key)  # another request may have made it
            if found is None:
                found = self._explain(image, question)
                with self._lock:
                    self._rows[key] = found
                    if len(self._rows) > KEPT_ROWS:
                        self._rows.popitem(last=False)
            return found

    def _kept_row(self, key: tuple[str, Question]) -> list[Explanation] | None:
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
            return self._rows.get(key)

    def _explain(self, image: np.ndarray, requested: Question) -> list[Explanation]:
        of_class = self.comparison.explain(
            image, requested.method, requested.target, requested.layer
        )
        if not requested.sentence:
            return of_class
        of_words = self.comparison.explain(
            image, requested.method, requested.sentence, requested.layer
        )
        return [
            words if words.member.role == VLM else own
            for own, words in zip(of_class, of_words, strict=True)
        ]


class _Opening:
    """A comparison that the first request opens while others for the same wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: OpenComparison | None = None


class Comparisons:
    """The comparisons of one app; the last few are kept open."""

    def __init__(self, config: AppConfig) -> None:
        self.config = config
        self._open: OrderedDict[tuple[Any, ...], _Opening] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, study_id: object, seed: int | None = None) -> OpenComparison:
        """The comparison of a study, by an id that may come from a browser.

        Raises ``UserError`` if it is unknown, unfinished or damaged.
        """
        folder = open_study(self.config, study_id)
        # A study that was trained again under the same name is a different one.
        key = (str(folder.path), folder.status().get("updated"), seed)
        with self._lock:
            opening = self._open.setdefault(key, _Opening())
            self._open.move_to_end(key)
            while len(self._open) > KEPT_COMPARISONS:
                self._open.popitem(last=False)
        # Not under the common lock: a slow disk or a damaged study must not block other studies.
        with opening.lock:
            if opening.opened is None:
                try:
                    opening.opened = OpenComparison(Comparison(folder, seed))
                except BaseException:
                    with self._lock:
                        if self._open.get(key) is opening:
                            del self._open[key]
                    raise
            return opening.opened


def class_groups(comparison: Comparison) -> list[str] | None:
    """The group of every class, None where no class has one."""
    groups = [info.group for info in comparison.classes]
    return [group or "other" for group in groups] if any(groups) else None
