"""Opened comparisons, kept while they are looked at: networks are loaded once, views made once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from app.place import Place
from app.studies import open_study
from dait.evidence.comparison import Comparison, Explanation
from dait.evidence.records import VLM
from dait.evidence.row import Question

KEPT_COMPARISONS = 3
"""A comparison holds five small networks and a teacher; more would be felt in memory."""
KEPT_ROWS = 64
KEPT_IMAGES = 600


class Opened:
    """One comparison with the rows of heatmaps that were asked of it."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._rows: OrderedDict[tuple[str, Question], list[Explanation]] = OrderedDict()
        self._images: OrderedDict[int, np.ndarray] = OrderedDict()
        self._samples: list[tuple[int, np.ndarray, int]] | None = None
        self._lock = threading.Lock()

    def samples(self, count: int) -> list[tuple[int, np.ndarray, int]]:
        """At most ``count`` test images over the classes: (index, (S, S, 3) uint8, label).

        Drawn or decoded the first time and kept.
        """
        with self._lock:
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

    def row(self, image: np.ndarray, question: Question) -> list[Explanation]:
        """``Comparison.explain``, remembered. One at a time: Grad-CAM shares the networks.

        A sentence is for the networks that read; the others explain the class all the same.
        """
        key = (hashlib.sha256(image.tobytes()).hexdigest(), question)
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
            else:
                self._rows[key] = self._explain(image, question)
                if len(self._rows) > KEPT_ROWS:
                    self._rows.popitem(last=False)
            return self._rows[key]

    def _explain(self, image: np.ndarray, asked: Question) -> list[Explanation]:
        of_class = self.comparison.explain(image, asked.method, asked.target, asked.layer)
        if not asked.sentence:
            return of_class
        of_words = self.comparison.explain(image, asked.method, asked.sentence, asked.layer)
        return [
            words if words.member.role == VLM else own
            for own, words in zip(of_class, of_words, strict=True)
        ]


class Comparisons:
    """The comparisons of one place, the last few kept open."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._open: OrderedDict[tuple[Any, ...], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, study_id: object, seed: int | None = None) -> Opened:
        """The comparison of a study, by an id that may come from a browser.

        Raises ``UserError`` where there is none, or where it is unfinished or damaged.
        """
        folder = open_study(self.place, study_id)
        # A study that was trained anew under the same name is another one.
        key = (str(folder.path), folder.status().get("updated"), seed)
        with self._lock:
            if key not in self._open:
                self._open[key] = Opened(Comparison(folder, seed))
            self._open.move_to_end(key)
            while len(self._open) > KEPT_COMPARISONS:
                self._open.popitem(last=False)
            return self._open[key]
