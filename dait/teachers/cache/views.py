"""The frozen teacher's embeddings of augmented training views: computed once and replayed, or live.

A view is fixed by (seed, image, number): the network in training asks ``view_batch`` for the same
numbers and sees the very pixels that the teacher saw (FKD, Shen & Xing 2022; TinyViT, Wu et al.
2022). With as many distinct views as epochs this is exactly what a teacher that runs in every step
would say, to the rounding of fp16; with fewer, epochs go round them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dait.data.augmentation.views import ViewPolicy
from dait.data.base import Dataset, Split
from dait.data.pool import has_unlabelled, training_images
from dait.distributed import ALONE, World
from dait.events import Emit, Note, ignore
from dait.storage.cache import cache_dir, not_kept
from dait.teachers.base import FrozenTeacher
from dait.teachers.cache.build import announce, build
from dait.teachers.cache.view_set import (
    FOLDER,
    Description,
    ViewRows,
    ViewSet,
    library_versions,
)
from dait.teachers.embedding import BATCH, Embedder, spans_of

TRAIN, POOL = "train", "train and unlabelled"
"""How a manifest calls the images: the labelled ones alone, or all that may be learned from."""


class TeacherViews:
    """Embeddings of the training images under numbered views.

    unlabelled: of unlabelled images too, which come after the others
    (``dait.data.pool``). live: the teacher embeds the pixels of every batch itself and nothing is
    kept: the reference.
    batch: images of a forward pass. dtype: of what is kept. origin: how data and teacher were
    opened, for the manifest. root: the folder to keep in, instead of the cache folder.

    Any change of the data, the policy, the teacher's weights or size, the seed, the libraries,
    ``batch`` or ``dtype`` misses what is kept.
    """

    def __init__(
        self,
        teacher: FrozenTeacher,
        data: Dataset,
        policy: ViewPolicy,
        emit: Emit = ignore,
        batch: int = BATCH,
        *,
        unlabelled: bool = False,
        live: bool = False,
        dtype: str = "float16",
        origin: Mapping[str, Any] | None = None,
        root: Path | None = None,
    ) -> None:
        self.teacher, self.data, self.policy = teacher, data, policy
        self.unlabelled = unlabelled and has_unlabelled(data)
        self.live = live
        self.embedder = Embedder(teacher)
        self._emit, self._batch, self._dtype, self._origin = emit, batch, dtype, origin
        self._root = root
        self._current: tuple[int, ViewRows] | None = None
        self._set: ViewSet | None = None
        self._images: Split | None = None

    @property
    def images(self) -> Split:
        """The images whose views these are."""
        if self._images is None:
            self._images = training_images(self.data, self.unlabelled)
        return self._images

    def announce(self, count: int) -> None:
        """Says what the first ``count`` views take. Raises ``UserError`` if there is no room."""
        if self.live:
            self._emit(Note("the frozen teacher embeds every batch itself; nothing is kept"))
        else:
            announce(self.kept(), range(count), self._emit)

    def build(self, views: Sequence[int], world: World = ALONE) -> None:
        """Computes what is missing of these views, or this process's share of it."""
        build(
            self.kept(), views, self.images.uncropped, self.embedder, self.policy, self._emit, world
        )

    def rows(self, view: int, index: np.ndarray, images: Tensor) -> Tensor:
        """``(B, d)`` float32 of the training images ``index`` ``(B,)`` under ``view``.

        images: these very views, ``(B, 3, S, S)`` in [0, 1], which the teacher embeds when live.
        Unit length up to the rounding of what is kept.
        """
        if self.live:
            return self.embedder.embed(images)
        return self._view(view)[index]

    def embeddings(self, view: int) -> Tensor:
        """``(N, d)`` float32 on the CPU, in the order of ``images``."""
        count = len(self.images)
        if not self.live:
            return self._view(view)[np.arange(count)]
        return self._computed(view, count)

    def kept(self) -> ViewSet:
        """The folder of these views, and what it is for."""
        if self._set is None:
            root = self._root or cache_dir() / FOLDER
            self._set = ViewSet(root, self._description(), self._origin)
        return self._set

    def _view(self, view: int) -> ViewRows:
        if self._current is None or self._current[0] != view:
            self._current = None  # unmapped before the next is mapped
            self._current = view, self._mapped(view)
        return self._current[1]

    def _mapped(self, view: int) -> ViewRows:
        kept = self.kept()
        for _ in range(3):  # a shard may be pruned or damaged in between, twice
            found = [kept.read(shard) for shard in kept.shards(view)]
            shards = [shard for shard in found if shard is not None]
            if len(shards) == len(found):
                kept.mark_used()
                return ViewRows(shards, kept.shard_rows)
            self.build([view])
        raise not_kept(kept.folder.parent)

    def _computed(self, view: int, count: int) -> Tensor:
        spans = spans_of(0, count, self._batch)
        parts = list(self.embedder.views(self.images.uncropped, spans, view, self.policy))
        return torch.from_numpy(np.concatenate(parts))

    def _description(self) -> Description:
        teacher = self.teacher
        return Description(
            data=self.data.name,
            data_fingerprint=self.data.fingerprint,
            split=POOL if self.unlabelled else TRAIN,
            images=len(self.images),
            transform=self.policy.kind,
            transform_fingerprint=self.policy.fingerprint,
            seed=self.policy.seed,
            teacher=teacher.name,
            weights_hash=teacher.weights_hash,
            image_size=teacher.image_size,
            dim=teacher.dim,
            precision=f"{self.embedder.precision} on {self.embedder.device.type}",
            batch=self._batch,
            dtype=self._dtype,
            libraries=library_versions(),
        )
