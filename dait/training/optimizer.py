"""The optimiser, and which parameters it lets decay."""

from __future__ import annotations

import torch

from dait.config.train import TrainConfig
from dait.tasks.base import Task


def build_optimizer(task: Task, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019), or SGD with momentum; biases and norms do not decay."""
    parameters = [p for p in task.trainable() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=config.momentum, nesterov=nesterov
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate)
