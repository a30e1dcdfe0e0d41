"""The learning rate of every step."""

from __future__ import annotations

import math

from dait.config.train import TrainConfig

RISE, FIRST, LAST = 0.3, 1 / 25, 1e-4
"""One-cycle: the share of the stage in which the rate rises; what it starts from, as a share of its
peak; what it ends at, as a share of the start. All as in torch's ``OneCycleLR``."""


def learning_rate(step: int, steps_per_epoch: int, steps: int, config: TrainConfig) -> float:
    """The rate of ``step`` (from 0) of ``steps``.

    ``one-cycle`` (Smith and Topin 2018) rises and falls by itself, without a warm-up and without
    cycling the momentum. The others warm up linearly, for half of the stage at most, and then stay
    (``constant``), fall along half a cosine to zero (``cosine``, Loshchilov and Hutter 2017), or
    by a factor every few epochs (``step``).
    """
    if config.schedule == "one-cycle":
        return config.learning_rate * _one_cycle(step, steps)
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps // 2)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "step":
        falls = step // steps_per_epoch // config.decay_every
        return config.learning_rate * config.decay_factor**falls
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def _one_cycle(step: int, steps: int) -> float:
    """As a share of the peak."""
    top = max(RISE * steps - 1, 0.0)
    if step <= top:
        return _along_cosine(FIRST, 1.0, step / top if top else 1.0)
    return _along_cosine(1.0, FIRST * LAST, (step - top) / max(steps - 1 - top, 1e-9))


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
