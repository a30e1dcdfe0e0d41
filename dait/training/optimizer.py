"""The optimiser: which parameters decay, and the learning rate of every step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from dait.config.train import TrainConfig
from dait.tasks.base import Task

RISE, FIRST, LAST = 0.3, 1 / 25, 1e-4
"""One-cycle: the share of the stage in which the rate rises; what it starts from, as a share of its
peak; what it ends at, as a share of the start. All as in torch's ``OneCycleLR``."""


def build_optimizer(task: Task, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019), or SGD with momentum."""
    groups = parameter_groups(task, config)
    if config.optimizer == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=config.momentum, nesterov=nesterov
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=task.adam_betas)


def parameter_groups(task: Task, config: TrainConfig) -> list[dict[str, Any]]:
    """Groups whose rate is ``lr_scale`` of the step's, as timm's schedulers have it.

    Networks that start from given weights get ``config.backbone_lr_scale``; all classifiers,
    projections, and networks from scratch get 1.
    """
    given = set[int]()
    if config.backbone_lr_scale != 1:
        started = [network for network in task.learners() if network.started_from]
        given = {id(weight) for network in started for weight in network.backbone_parameters()}
    trained = task.trainable()
    groups = decay_groups([p for p in trained if id(p) not in given], config.weight_decay)
    scaled = decay_groups([p for p in trained if id(p) in given], config.weight_decay)
    return [
        *(group | {"lr_scale": 1.0} for group in groups),
        *(group | {"lr_scale": config.backbone_lr_scale} for group in scaled if given),
    ]


def decay_groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: matrices decay; biases, norms and scales do not."""
    trained = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def learning_rate(step: int, steps_per_epoch: int, steps: int, config: TrainConfig) -> float:
    """The rate of ``step`` (from 0) of ``steps``.

    ``one-cycle`` (Smith and Topin 2018) rises and falls by itself, without a warm-up and without
    cycling the momentum. The others warm up linearly, for half of the stage at most, and then stay
    (``constant``), fall along half a cosine to zero (``cosine``), or by a factor every few epochs
    (``step``).
    """
    peak = config.learning_rate
    if config.schedule == "one-cycle":
        return peak * _one_cycle(step, steps)
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps // 2)
    if config.schedule == "cosine" or step < warmup:
        return warmup_cosine(step, warmup, steps, peak)
    if config.schedule == "constant":
        return peak
    return peak * config.decay_factor ** (step // steps_per_epoch // config.decay_every)


def warmup_cosine(step: int, warmup: int, steps: int, peak: float) -> float:
    """Linear warm-up over ``warmup`` steps, then half a cosine to zero at ``steps``.

    Loshchilov and Hutter 2017.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def _one_cycle(step: int, steps: int) -> float:
    """As a share of the peak."""
    top = max(RISE * steps - 1, 0.0)
    if step <= top:
        return _along_cosine(FIRST, 1.0, step / top if top else 1.0)
    return _along_cosine(1.0, FIRST * LAST, (step - top) / max(steps - 1 - top, 1e-9))


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
