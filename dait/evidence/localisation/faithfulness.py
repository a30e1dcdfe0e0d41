"""Does the prediction depend on what a heatmap marks? ROAD, as in the ``grad-cam`` package.

Pixels are removed and filled in from their neighbours, the most relevant first or the least
relevant first, and the probability of the explained class is read again ("remove and debias", Rong
et al. 2022). A faithful map loses much by the first and little by the second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor, nn

from dait.evidence.heatmaps.cam import empty_maps, upsample_and_scale

PERCENTILES = (20, 50, 80)
"""Shares of the pixels that are kept, in percent. The package's nine cost three times as much."""


def road(network: nn.Module, images: Tensor, raw: Tensor, target: Tensor) -> np.ndarray:
    """``(B,)`` in [-1, 1]: half the extra cost of removing the most relevant pixels first.

    images: ``(B, 3, S, S)`` in [0, 1]; raw: ``(B, h, w)`` maps of ``target`` ``(B,)``. The figure
    is a difference in the class's probability, a mean over ``PERCENTILES``; NaN for an empty map.

    A percentile cannot divide pixels of equal relevance, and a map that is zero almost everywhere
    has many: they are put into a fixed random order, the same for every network (our choice).
    """
    found = np.full(len(images), np.nan)
    scored = torch.nonzero(~empty_maps(raw)).flatten()
    if not len(scored):
        return found
    ranks = _ranked(upsample_and_scale(raw[scored], images.shape[-1]).numpy())
    targets = [ClassifierOutputSoftmaxTarget(int(index)) for index in target[scored]]

    def logits(pixels: Tensor) -> Tensor:
        output: Any = network(pixels)
        answer: Tensor = getattr(output, "logits", output)
        return answer

    with torch.random.fork_rng(devices=[]):  # the filling has a little noise in it
        torch.manual_seed(0)
        device = next(network.parameters()).device
        metric = ROADCombined(percentiles=list(PERCENTILES))
        found[scored.numpy()] = metric(images[scored].to(device), ranks, targets, logits)
    return found


def _ranked(maps: np.ndarray) -> np.ndarray:
    """``(B, S, S)`` → the place of every pixel in its map's order, as a share in (0, 1)."""
    pixels = maps[0].size
    shuffled = np.random.default_rng(0).permutation(pixels)
    ranks = np.empty((len(maps), pixels), dtype=np.float32)
    for index, values in enumerate(maps.reshape(len(maps), pixels)):
        order = shuffled[np.argsort(values[shuffled], kind="stable")]
        ranks[index, order] = (np.arange(pixels) + 0.5) / pixels
    return ranks.reshape(maps.shape)
