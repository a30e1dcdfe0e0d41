"""A frozen teacher over many images, at the speed of its own forward pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.stored import Images, Uncropped
from dait.errors import UserError
from dait.events import Emit, Progress, ignore
from dait.teachers.base import FrozenTeacher

BATCH = 128
"""Images in a forward pass. Its last bits depend on which images share a batch, so the boundaries
are the same on every process: multiples of this number within the split."""

Span = tuple[int, int]


class Embedder:
    """Embeds images and views of images with a frozen teacher.

    On a GPU the images cross as uint8 from pinned memory without blocking, their views are made
    there, the forward pass runs in fp16 where the device supports autocast, and the next
    batch is sent before the answers of the last are awaited. On a CPU everything is fp32: its
    autocast is slower.

    Gradients are off (``FrozenTeacher.embed``). Not torch's inference mode, which is no faster
    here: what a model keeps from a forward pass could then never be used with gradients again.
    """

    def __init__(self, teacher: FrozenTeacher) -> None:
        self.teacher = teacher
        self.device = device_of(teacher)
        kind = self.device.type
        self._half = kind != "cpu" and torch.amp.is_autocast_available(kind)

    @property
    def precision(self) -> str:
        """In what numbers the forward pass runs, for the key of what is kept."""
        return "float16" if self._half else "float32"

    def embed(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1], on any device → ``(B, d)`` float32 on the teacher's."""
        images = images.to(self.device, non_blocking=True)
        found = self._forward(images)
        return found if not self._half or torch.isfinite(found).all() else self._exact(images)

    def views(
        self,
        images: Images | Uncropped,
        spans: Iterable[Span],
        view: int,
        policy: ViewPolicy,
    ) -> Iterator[np.ndarray]:
        """``(n, d)`` float32 for every span ``(start, stop)`` of a split's images, or whole ones.

        Raises ``UserError`` where the teacher's answer is not finite.
        """
        ahead = 0 if self.device.type == "cpu" else 1
        place = self.device if self.device.type == "cuda" else None
        under_way: deque[tuple[Tensor, _Answer]] = deque()
        for start, stop in spans:
            index = np.arange(start, stop)
            pixels = view_batch(images[start:stop], index, view, policy, device=place)
            pixels = pixels.to(self.device)
            under_way.append((pixels, _Answer(self._forward(pixels))))
            if len(under_way) > ahead:
                yield self._rows(*under_way.popleft())
        for pixels, answer in under_way:
            yield self._rows(pixels, answer)

    def _forward(self, images: Tensor) -> Tensor:
        if not self._half:
            return self._exact(images)
        with torch.autocast(self.device.type, torch.float16):
            return self.teacher.embed(images).float()

    def _exact(self, images: Tensor) -> Tensor:
        return self.teacher.embed(images).float()

    def _rows(self, pixels: Tensor, answer: _Answer) -> np.ndarray:
        rows = answer.rows()
        if self._half and not np.isfinite(rows).all():
            # fp16 ends at 65,504, which a few models exceed within.
            rows = self._exact(pixels).cpu().numpy()
        if not np.isfinite(rows).all():
            raise UserError(
                f"The teacher {self.teacher.name} gives embeddings that are not finite. Its "
                "weights may be damaged; load them again, or choose another teacher."
            )
        return rows


class _Answer:
    """Embeddings on their way back from the device."""

    def __init__(self, found: Tensor) -> None:
        self._event: Any = None
        if found.device.type == "cuda":
            self._host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            self._host.copy_(found, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        else:
            self._host = found.cpu()

    def rows(self) -> np.ndarray:
        if self._event is not None:
            self._event.synchronize()
        return self._host.numpy()


def spans_of(start: int, stop: int, batch: int = BATCH) -> list[Span]:
    """``start`` to ``stop`` in batches; the last may be smaller."""
    return [(low, min(low + batch, stop)) for low in range(start, stop, batch)]


def embed_split(
    teacher: FrozenTeacher, images: Images, batch: int = 128, emit: Emit = ignore
) -> Tensor:
    """``(N, S, S, 3)`` uint8 → ``(N, d)``: the embeddings of unaugmented images, on the CPU."""
    spans, policy = spans_of(0, len(images), batch), ViewPolicy("original")
    parts: list[np.ndarray] = []
    for part in Embedder(teacher).views(images, spans, 0, policy):
        parts.append(part)
        done = min(len(parts) * batch, len(images))
        emit(Progress("Embedding the images", done, len(images)))
    return torch.from_numpy(np.concatenate(parts))


def device_of(teacher: FrozenTeacher) -> torch.device:
    """Where the teacher computes; the CPU for one that is no module."""
    if isinstance(teacher, nn.Module):
        return next(teacher.parameters()).device
    return torch.device("cpu")
