"""Opened comparisons, kept while they are looked at: networks are loaded once, views made once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.comparisons.batches import Batches
from app.config import AppConfig
from app.studies.entries import open_study
from dait.evaluation.records import VLM
from dait.evidence.comparison import Comparison, Explanation
from dait.evidence.heatmaps.row import NetworkAnswer, Question

KEPT_COMPARISONS = 3
"""A comparison holds five small networks and a teacher; more would be felt in memory."""
MOST_TOGETHER = 8
"""Images in one forward pass: an image of eight costs half of one alone, and more gain nothing."""
KEPT_ROWS = 64
KEPT_IMAGES = 600


class OpenComparison:
    """One comparison with the rows of heatmaps that were asked of it."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._rows: OrderedDict[tuple[str, Question], list[Explanation]] = OrderedDict()
        self._images: OrderedDict[int, np.ndarray] = OrderedDict()
        self._samples: list[tuple[int, np.ndarray, int]] | None = None
        # What is kept is there at once, whoever draws images or explains one meanwhile.
        self._lock, self._drawing, self._explaining = (threading.Lock() for _ in range(3))
        self._answers = Batches(comparison.answers_to, MOST_TOGETHER)

    def samples(self, count: int) -> list[tuple[int, np.ndarray, int]]:
        """At most ``count`` test images over the classes: (index, (S, S, 3) uint8, label).

        Drawn or decoded the first time and kept.
        """
        with self._drawing:
            if self._samples is None:
                chosen = self.comparison.gallery(count)
                self._samples = [(index, *self.comparison.test_image(index)) for index in chosen]
            return self._samples

    def image(self, index: int) -> np.ndarray:
        """A test image, ``(S, S, 3)`` uint8; the last ones that were drawn or decoded are kept."""
        found = self._images.get(index)
        if found is None:
            found = self._images[index] = self.comparison.test_image(index)[0]
            while len(self._images) > KEPT_IMAGES:
                self._images.popitem(last=False)
        return found

    def answers(self, images: Sequence[np.ndarray]) -> list[dict[str, NetworkAnswer]]:
        """``Comparison.answers_to``; whoever waits for this study's networks is served together."""
        return self._answers.of(images)

    def row(self, image: np.ndarray, question: Question) -> list[Explanation]:
        """``Comparison.explain``, remembered. One at a time: Grad-CAM shares the networks.

        A sentence is for the networks that read; the others explain the class all the same.
        """
        key = (hashlib.sha256(image.tobytes()).hexdigest(), question)
        found = self._kept_row(key)
        if found is not None:
            return found
        with self._explaining:
            found = self._kept_row(key)  # another visitor may have asked for the same
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

    def _explain(self, image: np.ndarray, asked: Question) -> list[Explanation]:
        of_class = self.comparison.explain(image, asked.method, asked.target, asked.layer)
        if not asked.sentence:
            return of_class
        of_words = self.comparison.explain(image, asked.method, asked.sentence, asked.layer)
        return [
            words if words.member.role == VLM else own
            for own, words in zip(of_class, of_words, strict=True)
        ]


class _Opening:
    """A comparison that is opened by the first who asks, while others who ask for it wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: OpenComparison | None = None


class Comparisons:
    """The comparisons of one app, the last few kept open."""

    def __init__(self, config: AppConfig) -> None:
        self.config = config
        self._open: OrderedDict[tuple[Any, ...], _Opening] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, study_id: object, seed: int | None = None) -> OpenComparison:
        """The comparison of a study, by an id that may come from a browser.

        Raises ``UserError`` where there is none, or where it is unfinished or damaged.
        """
        folder = open_study(self.config, study_id)
        # A study that was trained anew under the same name is another one.
        key = (str(folder.path), folder.status().get("updated"), seed)
        with self._lock:
            opening = self._open.setdefault(key, _Opening())
            self._open.move_to_end(key)
            while len(self._open) > KEPT_COMPARISONS:
                self._open.popitem(last=False)
        # Not under the lock of all: a slow disk, or a damaged study, keeps nobody from the others.
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
