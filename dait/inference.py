"""Networks over whole splits: logits and pooled features of unaugmented images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dait.data.augment import ViewPolicy, view_batch
from dait.data.base import Split
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
def predict_split(network: Network, split: Split, batch: int = 128) -> Predictions:
    """The network's answers in eval mode; its mode is restored."""
    was_training = network.training
    device = network.mean.device
    policy = ViewPolicy("original")
    logits, pooled = [], []
    network.eval()
    try:
        for start in range(0, len(split), batch):
            index = range(start, min(start + batch, len(split)))
            images = view_batch(split.images[start : start + batch], index, 0, policy, 0)
            output = network(images.to(device))
            logits.append(output.logits.cpu())
            pooled.append(output.pooled.cpu())
    finally:
        network.train(was_training)
    return Predictions(torch.cat(logits), torch.cat(pooled))
