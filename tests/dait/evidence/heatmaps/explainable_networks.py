"""Tiny networks with the interface that explaining needs."""

from __future__ import annotations

from typing import NamedTuple

import timm
import torch
from torch import Tensor, nn

from dait.errors import UserError

SIZE = 48


class Output(NamedTuple):
    map: Tensor
    pooled: Tensor
    logits: Tensor


class TinyNetwork(nn.Module):
    """A convolutional classifier with the interface of the project's networks."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
        )
        self.activation = nn.ReLU(inplace=True)
        self.head = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Output:
        features = self.activation(self.features(images * 2 - 1))
        pooled = features.mean(dim=(2, 3))
        return Output(features, pooled, self.head(pooled))

    def heatmap_layer(self) -> nn.Module:
        return self.features[-1]

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        return None


class TinyVit(nn.Module):
    """A timm vision transformer with the same interface."""

    def __init__(self) -> None:
        super().__init__()
        self.body = timm.create_model(
            "test_vit", pretrained=False, num_classes=5, img_size=(48, 64), patch_size=16
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)

    def heatmap_layer(self) -> nn.Module:
        return self.body.blocks[-1].norm1

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        rows, columns = self.body.patch_embed.grid_size
        return rows, columns, self.body.num_prefix_tokens


class TinyTeacher:
    """A frozen teacher that is not itself a module: its network is its ``model``."""

    name, dim, image_size, reads_text, weights_hash = "tiny", 16, SIZE, False, "0"
    logit_scale = 10.0

    def __init__(self) -> None:
        self.model = TinyNetwork().eval().requires_grad_(False)

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        return nn.functional.normalize(self.model(images).pooled, dim=1)

    def embed(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.embed_with_gradient(images)

    def embed_text(self, sentences: list[str]) -> Tensor:
        raise UserError("this teacher reads no text")

    def heatmap_layer(self) -> nn.Module:
        return self.model.features[-1]

    def heatmap_grid(self) -> tuple[int, int, int] | None:
        return None
