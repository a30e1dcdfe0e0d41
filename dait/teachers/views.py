"""The frozen teacher's embeddings of augmented training views, computed once and replayed."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from torch import Tensor

from dait.data.augment import ViewPolicy, view_batch
from dait.data.base import Dataset
from dait.data.store import cache_dir, load_or_build
from dait.events import Emit, Progress, ignore
from dait.teachers.base import FrozenTeacher
from dait.teachers.registry import device_of

DTYPE = np.float16


class TeacherViews:
    """Embeddings ``(N, d)`` of every training image under view ``k``, kept on disk as fp16.

    A view is fixed by (seed, image, k): the network in training asks ``view_batch`` for the same
    numbers and sees the very pixels that the teacher saw. The key of what is kept names the data,
    the policy (with its library version), the teacher, its weights, the seed, the view and the
    type, so that any change misses.
    """

    def __init__(
        self,
        teacher: FrozenTeacher,
        data: Dataset,
        policy: ViewPolicy,
        seed: int,
        emit: Emit = ignore,
        batch: int = 128,
    ) -> None:
        self.teacher, self.data, self.policy, self.seed = teacher, data, policy, seed
        self._emit, self._batch = emit, batch
        self._recent: tuple[int, Tensor] | None = None

    def embeddings(self, view: int) -> Tensor:
        """``(N, d)`` float32, unit length up to fp16's rounding, in the training split's order."""
        if self._recent is None or self._recent[0] != view:
            kept = load_or_build(cache_dir(), self._key(view), lambda: self._compute(view))
            self._recent = view, torch.from_numpy(kept["embeddings"].astype(np.float32))
        return self._recent[1]

    def _key(self, view: int) -> str:
        described = [
            self.data.fingerprint,
            self.policy.fingerprint,
            self.teacher.name,
            self.teacher.weights_hash,
            self.teacher.image_size,
            self.seed,
            view,
            np.dtype(DTYPE).name,
        ]
        digest = hashlib.sha256(json.dumps(described).encode()).hexdigest()
        return f"views-{digest[:32]}"

    def _compute(self, view: int) -> dict[str, np.ndarray]:
        images = self.data.split("train").images
        device = device_of(self.teacher)
        rows: list[np.ndarray] = []
        for start in range(0, len(images), self._batch):
            index = np.arange(start, min(start + self._batch, len(images)))
            pixels = view_batch(images[index], index, view, self.policy, self.seed)
            rows.append(self.teacher.embed(pixels.to(device)).cpu().numpy().astype(DTYPE))
            what = f"The frozen teacher looks at view {view + 1}"
            self._emit(Progress(what, int(index[-1]) + 1, len(images)))
        return {"embeddings": np.concatenate(rows)}
