"""The protocol of a frozen teacher, for models of any library."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from dait.data.base import ClassInfo


class Reader(Protocol):
    """Whatever turns sentences into embeddings."""

    def embed_text(self, sentences: list[str]) -> Tensor:
        """``(n, dim)``, unit length."""
        ...


class FrozenTeacher(Protocol):
    """A frozen image encoder with class prototypes.

    Images are ``(B, 3, H, W)`` float in [0, 1], any size: the teacher resizes and normalises them
    itself. Embeddings and prototypes have unit length.
    """

    name: str
    dim: int
    image_size: int
    reads_text: bool
    weights_hash: str

    @property
    def logit_scale(self) -> float:
        """κ: zero-shot logits are κ · embedding · prototype, up to a constant."""
        ...

    def embed(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] → ``(B, dim)``, unit length, no gradient."""
        ...

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        """As ``embed`` with the graph kept, for heatmaps."""
        ...

    def embed_text(self, sentences: list[str]) -> Tensor:
        """``(n, dim)``, unit length; raises ``UserError`` where ``reads_text`` is False."""
        ...

    def heatmap_layer(self) -> nn.Module:
        """The module whose output Grad-CAM reads (tokens for a ViT, a map for a CNN)."""
        ...

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        """``(rows, columns, prefix tokens)`` of a token output, or None for a CNN's map."""
        ...


def text_prototypes(teacher: Reader, classes: tuple[ClassInfo, ...]) -> Tensor:
    """``(C, d)``: the normalised mean of each class's normalised prompt embeddings."""
    rows = []
    for info in classes:
        prompts = list(info.descriptions) or [f"a photo of a {info.name}."]
        mean = teacher.embed_text(prompts).mean(dim=0)
        rows.append(mean / mean.norm())
    return torch.stack(rows)
