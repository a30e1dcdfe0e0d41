"""Networks over whole splits: logits and pooled features of unaugmented images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import Split
from dait.distributed import ALONE, World, gathered, rows_of
from dait.models.network import Network


@dataclass(frozen=True)
class Predictions:
    """logits ``(N, C)`` and pooled ``(N, p)``, float32 on the CPU, in the split's order."""

    logits: Tensor
    pooled: Tensor

    def top1(self, labels: Tensor) -> float:
        """Fraction of images whose largest logit is their label's."""
        return (self.logits.argmax(1) == labels).float().mean().item()

    def loss(self, labels: Tensor) -> float:
        """Mean cross-entropy."""
        return F.cross_entropy(self.logits, labels).item()


@torch.no_grad()
def predict_split(
    network: Network,
    split: Split,
    batch: int = 128,
    world: World = ALONE,
    index: np.ndarray | None = None,
) -> Predictions:
    """The network's answers in eval mode; its mode is restored.

    index: of the split's images, those that are asked for, in rising order; None takes all.
    world: each of several processes predicts a part of the split, and has all answers in the end.
    """
    was_training = network.training
    device = network.mean.device
    wanted = np.arange(len(split)) if index is None else index
    policy, own = ViewPolicy("original"), rows_of(world, len(wanted))
    logits = [torch.empty((0, network.num_classes), device=device)]
    pooled = [torch.empty((0, network.pooled_width), device=device)]
    network.eval()
    try:
        for start in range(own.start, own.stop, batch):
            rows = wanted[start : min(start + batch, own.stop)]
            images = split.images[rows]
            output = network(view_batch(images, rows.tolist(), 0, policy, device=device))
            logits.append(output.logits)
            pooled.append(output.pooled)
    finally:
        network.train(was_training)
    answers = (gathered(world, torch.cat(own), len(wanted)).cpu() for own in (logits, pooled))
    return Predictions(*answers)
