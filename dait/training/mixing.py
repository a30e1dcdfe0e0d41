"""Mixup and CutMix: pictures of two images at once, with the share of each in the label."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dait.config.train import TrainConfig
from dait.data.augmentation.photometric import sent


def mixed(
    images: Tensor,
    labels: Tensor,
    classes: int,
    config: TrainConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Every image ``(B, 3, S, S)`` mixed with another of the batch, and the classes' shares.

    mixup (Zhang et al. 2018) blends the two; CutMix (Yun et al. 2019) pastes a rectangle of one
    into the other. The share is drawn once for the batch, from Beta(α, α); where both are on, a
    coin is thrown. Returns the images and the shares ``(B, classes)``, which sum to 1.
    """
    partner = sent(torch.from_numpy(rng.permutation(len(images))), images.device)
    cut = config.cutmix > 0 and (not config.mixup or rng.random() < 0.5)
    alpha = config.cutmix if cut else config.mixup
    share = float(rng.beta(alpha, alpha))
    if cut:
        images, share = _pasted(images, partner, share, rng)
    else:
        images = images * share + images[partner] * (1 - share)
    one = F.one_hot(labels, classes).float()
    return images, one * share + one[partner.to(one.device)] * (1 - share)


def _pasted(
    images: Tensor, partner: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """A rectangle of ``1 - share`` of the area, less what lies beyond the edge; the share left."""
    size, half = images.shape[-1], images.shape[-1] * math.sqrt(1 - share) / 2
    x, y = rng.uniform(0, size, 2)
    left, right = (round(min(max(edge, 0), size)) for edge in (x - half, x + half))
    top, bottom = (round(min(max(edge, 0), size)) for edge in (y - half, y + half))
    images = images.clone()
    images[:, :, top:bottom, left:right] = images[partner][:, :, top:bottom, left:right]
    return images, 1 - (right - left) * (bottom - top) / size**2
