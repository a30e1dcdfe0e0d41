"""BatchNorm's running statistics, re-estimated after a short training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def recalibrate_batchnorm(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Re-estimate BatchNorm's running mean and variance as plain averages over ``batches``.

    In short trainings the exponential averages lag far behind the weights. ``batches`` are
    ``(B, 3, H, W)`` in [0, 1], best all of one size since each counts alike. Only the BatchNorm
    layers are in training mode meanwhile, so that nothing random is drawn; every mode and
    momentum is restored. Returns the number of batches; raises ``ValueError`` for none, with the
    statistics untouched.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    modes = {module: module.training for module in network.modules()}
    momenta = [layer.momentum for layer in layers]
    count = 0
    try:
        network.eval()
        for images in batches:
            if count == 0:
                for layer in layers:
                    layer.reset_running_stats()
                    layer.momentum = None  # torch's word for a cumulative average
                    layer.training = True
            with torch.no_grad():
                network(images)
            count += 1
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    if count == 0:
        raise ValueError("no batches to estimate BatchNorm's statistics from")
    return count
