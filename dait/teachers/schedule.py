"""Learning rate and weight decay of the demo teacher's training."""

from __future__ import annotations

import math
from typing import Any

from torch import nn


def decay_groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices decay, biases and scales do not."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up over ``warmup`` steps, then a cosine to zero at ``steps``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
