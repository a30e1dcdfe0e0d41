"""Learning rate, weight decay and optimiser step of the demo teacher's training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from dait.errors import UserError


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


def descend(
    loss: Tensor,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: float,
    max_norm: float,
    step: int,
) -> None:
    """One optimiser step of ``model`` down ``loss`` at the learning rate ``rate``, clipped.

    Raises ``UserError``, with the weights as they were, where loss or gradient is not finite.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    for name, value in (("loss", loss), ("gradient", norm)):
        if not torch.isfinite(value):
            raise UserError(
                f"The {name} is {value.item()} at step {step}; lower the learning rate."
            )
    optimizer.step()
