"""Mixed images: what is in them is what their shares say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dait.config.train import TrainConfig
from dait.training.mixing import mixed

LABELS = torch.tensor([2, 0, 1, 1])
# Image k has the colour k + 1 all over, so that a pixel tells which images are in it.
IMAGES = (torch.arange(4.0) + 1).view(4, 1, 1, 1).expand(4, 3, 10, 10).contiguous()


def shares_in(images: Tensor, partner: np.ndarray) -> Tensor:
    """The share of its own image in each, from the mean of its pixels."""
    own, other = torch.arange(4.0) + 1, torch.from_numpy(partner) + 1.0
    found = (images.mean(dim=(1, 2, 3)) - other) / (own - other)
    return found[own != other]


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_shares_are_what_the_pixels_hold(name: str) -> None:
    config, seen = TrainConfig(**{name: 1.0}), []
    for seed in range(20):
        partner = np.random.default_rng(seed).permutation(4)
        images, shares = mixed(IMAGES, LABELS, 3, config, np.random.default_rng(seed))
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
        found = shares_in(images, partner)
        if not len(found):
            continue
        share = found[0].item()
        seen.append(share)
        expected = torch.zeros(4, 3)
        for k in range(4):
            expected[k, LABELS[k]] += share
            expected[k, LABELS[partner[k]]] += 1 - share
        torch.testing.assert_close(shares, expected, rtol=0, atol=1e-5)
        whole = {float(value) for value in images.unique()} <= {1.0, 2.0, 3.0, 4.0}
        assert whole == (name == "cutmix" or share in (0, 1))
    assert min(seen) < 0.3 and max(seen) > 0.7  # Beta(1, 1) is even
    assert torch.equal(IMAGES.mean(dim=(1, 2, 3)), torch.arange(4.0) + 1)  # left as they were


def test_cutmix_pastes_one_rectangle_of_another_image() -> None:
    rng = np.random.default_rng(2)
    images, _ = mixed(IMAGES, LABELS, 3, TrainConfig(cutmix=1.0), rng)
    for own, image in enumerate(images, start=1):
        assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])
        other = (image[0] != own).nonzero()
        if len(other):
            (top, left), (bottom, right) = other.min(dim=0).values, other.max(dim=0).values
            assert len(image[0][top : bottom + 1, left : right + 1].unique()) == 1


def test_a_coin_decides_between_the_two() -> None:
    config = TrainConfig(mixup=1.0, cutmix=1.0)
    pasted = 0
    for seed in range(40):
        images, _ = mixed(IMAGES, LABELS, 3, config, np.random.default_rng(seed))
        pasted += {float(value) for value in images.unique()} <= {1.0, 2.0, 3.0, 4.0}
    assert 8 < pasted < 32
