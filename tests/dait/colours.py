"""A problem that takes a second: red pictures and blue ones, and a teacher of colours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from dait.data.base import ClassInfo, Problem, Split, SplitName
from dait.errors import UserError
from dait.models.network import Network, NetworkSpec, build_network


@dataclass
class Colours:
    """A data set in memory: the label says which of red and blue is stronger, amid noise."""

    train: int = 32
    name: str = "colours"
    size: int = 32
    classes: tuple[ClassInfo, ...] = (ClassInfo("red", "red"), ClassInfo("blue", "blue"))
    part_names: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    fingerprint: str = "colours-1"
    licence: str = "none"
    _splits: dict[SplitName, Split] = field(default_factory=dict)

    def counts(self) -> dict[SplitName, int]:
        return {"train": self.train, "val": 24, "test": 24}

    def split(self, name: SplitName) -> Split:
        if name not in self._splits:
            count = self.counts()[name]
            rng = np.random.default_rng([3, list(self.counts()).index(name)])
            labels = np.arange(count) % 2
            images = rng.integers(0, 160, (count, self.size, self.size, 3), dtype=np.uint8)
            images[np.arange(count), :, :, 2 * labels] += 60
            ids = tuple(f"{name}/{k}" for k in range(count))
            self._splits[name] = Split(name, images, labels, ids)
        return self._splits[name]


class Recorder:
    """A frozen teacher that keeps every image it sees; its embedding is the image, coarsely."""

    name, image_size, logit_scale = "recorder", 32, 1.0
    dim, reads_text, weights_hash = 48, False, "none"

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def embed(self, images: Tensor) -> Tensor:
        self.seen += pixels(images)
        return coarse(images)

    def embed_with_gradient(self, images: Tensor) -> Tensor:
        return coarse(images)

    def embed_text(self, sentences: list[str]) -> Tensor:
        raise UserError("no text")

    def heatmap_layer(self) -> nn.Module:
        return nn.Identity()

    def heatmap_grid(self) -> None:
        return None


def coarse(images: Tensor) -> Tensor:
    return nn.functional.normalize(nn.functional.adaptive_avg_pool2d(images, 4).flatten(1), dim=1)


def pixels(images: Tensor) -> list[bytes]:
    return [image.contiguous().numpy().tobytes() for image in images]


def network(seed: int = 0, width: int = 8, drop_rate: float = 0.0) -> Network:
    torch.manual_seed(seed)
    options = {"channels": [width] * 4, "stem_width": 8, "drop_rate": drop_rate}
    return build_network(NetworkSpec(name="resnet10t", output_stride=16, options=options), 2, 32)
