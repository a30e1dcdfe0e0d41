"""How well a teacher's prompts name the validation images, fast enough to try prompts by hand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dait.data.augmentation.views import ViewPolicy
from dait.data.base import ClassInfo, Dataset
from dait.errors import UserError
from dait.storage.cache import cache_dir, load_or_build
from dait.teachers.base import FrozenTeacher, text_prototypes
from dait.teachers.embedding import embed_split
from dait.teachers.prompt_warnings import (
    Truncation,
    similar_class_warnings,
    truncate,
    truncation_warnings,
)
from dait.teachers.prompts import Prompts, class_prompts

KEPT_SENTENCES = 50_000
"""Embeddings kept of one teacher's sentences: 100 MB at 512 dimensions."""
_CHUNK = 256


@dataclass(frozen=True)
class Score:
    """Zero-shot figures on the validation split.

    top1: fraction of its ``images``. per_class: ``(C,)`` the fraction of each class's images that
    are named right, NaN for a class without one. taken_for: for each class the other class that
    its images are named most often, -1 where there is none. sentences: in all prompts together.
    warnings: whole sentences on truncated texts and classes with nearly equal prototypes.
    """

    top1: float
    images: int
    per_class: tuple[float, ...]
    taken_for: tuple[int, ...]
    sentences: int
    warnings: tuple[str, ...] = ()


class ZeroShot:
    """Scores prompts on the *validation* split, never on the test split.

    The images are embedded once and kept on disk; sentences are embedded once and remembered, so
    that an edited prompt costs its own sentences alone. Raises ``UserError`` for a teacher that
    reads no text. Safe to use from several threads.
    """

    def __init__(self, teacher: FrozenTeacher, data: Dataset) -> None:
        if not teacher.reads_text:
            raise UserError(
                f"The teacher {teacher.name} sees images only: its classes are the means of its "
                "training images' embeddings, so there are no prompts to write."
            )
        self.classes = data.classes
        split = data.split("val")
        self._labels = torch.tensor(np.array(split.labels))
        self._images = _kept_embeddings(teacher, data)
        self._reader = _Reader(teacher)
        self._lock = threading.Lock()

    def score(self, prompts: Prompts) -> Score:
        """The figures of a set of prompts. Raises ``UserError`` for one of no class."""
        classes = class_prompts(self.classes, prompts)
        with self._lock:
            self._reader.read([sentence for info in classes for sentence in info.descriptions])
            prototypes = text_prototypes(self._reader, classes)
            cuts = truncation_warnings(classes, self._reader.cuts(classes))
        teacher = self._reader.teacher
        alike = similar_class_warnings(teacher, classes, prototypes, teacher.logit_scale)
        answers = (self._images @ prototypes.T).argmax(dim=1)
        count = len(classes)
        table = torch.bincount(self._labels * count + answers, minlength=count * count)
        table = table.view(count, count).float()  # (true class, answer)
        right, of_class = table.diagonal(), table.sum(dim=1)
        wrong = table - torch.diag(right)
        taken_for = torch.where(wrong.amax(dim=1) > 0, wrong.argmax(dim=1), -1)
        return Score(
            top1=float(right.sum() / max(1, len(answers))),
            images=len(answers),
            per_class=tuple((right / of_class).tolist()),
            taken_for=tuple(taken_for.tolist()),
            sentences=sum(len(info.descriptions) for info in classes),
            warnings=cuts + alike,
        )


class _Reader:
    """A teacher's text tower that remembers the sentences it has embedded."""

    def __init__(self, teacher: FrozenTeacher) -> None:
        self.teacher = teacher
        self._known: dict[str, Tensor] = {}
        self._cut: dict[str, Truncation | None] = {}

    def read(self, sentences: list[str]) -> None:
        wanted = dict.fromkeys(sentences)
        if len(self._known) > KEPT_SENTENCES:
            self._known = {text: row for text, row in self._known.items() if text in wanted}
            self._cut = {text: found for text, found in self._cut.items() if text in wanted}
        new = [sentence for sentence in wanted if sentence not in self._known]
        for start in range(0, len(new), _CHUNK):
            part = new[start : start + _CHUNK]
            rows = self.teacher.embed_text(part).float().cpu()
            self._known.update(zip(part, rows, strict=True))
            self._cut.update({sentence: truncate(self.teacher, sentence) for sentence in part})

    def embed_text(self, sentences: list[str]) -> Tensor:
        return torch.stack([self._known[sentence] for sentence in sentences])

    def cuts(self, classes: Iterable[ClassInfo]) -> list[tuple[ClassInfo, Truncation]]:
        found = ((info, self._cut[text]) for info in classes for text in info.descriptions)
        return [(info, one) for info, one in found if one is not None]


def _kept_embeddings(teacher: FrozenTeacher, data: Dataset) -> Tensor:
    """``(N, d)`` float32 of the validation images, from the cache where they are there."""
    described = [
        data.fingerprint,
        ViewPolicy("original").fingerprint,
        teacher.name,
        teacher.weights_hash,
        teacher.image_size,
    ]
    key = f"val-{hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]}"

    def build() -> dict[str, np.ndarray]:
        return {"embeddings": embed_split(teacher, data.split("val").images).float().numpy()}

    # A copy: what is kept is read-only, which torch warns of.
    return torch.from_numpy(np.array(load_or_build(cache_dir(), key, build)["embeddings"]))
