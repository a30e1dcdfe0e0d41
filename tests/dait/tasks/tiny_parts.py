"""A network, class prototypes and a batch that every test of a task can do with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.models.network import Network, NetworkSpec, build_network
from dait.tasks.base import Batch

CLASSES, DIM, SCALE = 5, 6, 12.0


def network(width: int = 8, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    options = {"channels": [8, 8, 8, width], "stem_width": 8}
    return build_network(
        NetworkSpec(name="resnet10t", output_stride=16, options=options), CLASSES, 32
    )


def prototypes() -> Tensor:
    rng = torch.Generator().manual_seed(1)
    return F.normalize(torch.randn(CLASSES, DIM, generator=rng), dim=1)


def batch() -> Batch:
    rng = torch.Generator().manual_seed(2)
    images = torch.rand(4, 3, 32, 32, generator=rng)
    vlm = F.normalize(torch.randn(4, DIM, generator=rng), dim=1)
    return Batch(images, torch.tensor([0, 3, 3, 1]), vlm)


def array(tensor: Tensor | None) -> np.ndarray:
    """float64, so that a sum by hand adds no error of its own."""
    assert tensor is not None
    return tensor.detach().double().numpy()


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits: np.ndarray, labels: Tensor) -> float:
    chosen = softmax(logits)[np.arange(len(logits)), labels.numpy()]
    return float(-np.log(chosen).mean())


def divergence(teacher: np.ndarray, student: np.ndarray, tau: float) -> float:
    """``τ² KL(teacher ‖ student)``, mean over the rows."""
    p, q = softmax(teacher / tau), softmax(student / tau)
    return float(tau**2 * (p * np.log(p / q)).sum(axis=1).mean())
