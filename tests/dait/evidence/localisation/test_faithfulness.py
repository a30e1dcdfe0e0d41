"""ROAD on a network whose answer is known to hang on one corner of the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dait.evidence.heatmaps.cam import upsample_and_scale
from dait.evidence.localisation.faithfulness import PERCENTILES, road

SIDE = 24


class Corner(nn.Module):
    """Class 1 where the top left is bright and varied, class 0 otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(40.0))

    def forward(self, images: Tensor) -> Tensor:
        corner = images[:, :, :8, :8].flatten(1).std(dim=1)
        return torch.stack([torch.zeros_like(corner), self.scale * (corner - 0.15)], dim=1)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def corner_map(rows: slice, columns: slice) -> Tensor:
    raw = torch.full((3, 3, 3), 0.05)
    raw[:, rows, columns] = 1.0
    return raw


ONES = torch.ones(3, dtype=torch.long)


def test_a_map_of_what_the_answer_hangs_on_is_faithful(images: Tensor) -> None:
    right = road(Corner(), images, corner_map(slice(0, 1), slice(0, 1)), ONES)
    wrong = road(Corner(), images, corner_map(slice(2, 3), slice(2, 3)), ONES)
    assert right.min() > 0.2 and wrong.max() < -0.1
    np.testing.assert_array_equal(
        right, road(Corner(), images, corner_map(slice(0, 1), slice(0, 1)), ONES)
    )


def test_it_is_the_packages_metric(images: Tensor) -> None:
    from pytorch_grad_cam.metrics.road import ROADCombined
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    raw = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))  # no ties
    torch.manual_seed(5)
    expected = ROADCombined(percentiles=list(PERCENTILES))(
        images,
        upsample_and_scale(raw, SIDE).numpy(),
        [ClassifierOutputSoftmaxTarget(1)] * 3,
        Corner(),
    )
    # The filling's noise differs, and is small.
    np.testing.assert_allclose(road(Corner(), images, raw, ONES), expected, atol=0.03)


def test_empty_maps_are_not_judged_and_nearly_empty_ones_are(images: Tensor) -> None:
    raw = torch.zeros(3, 6, 6)
    raw[1, 0, 0] = 1.0  # most pixels are equal: a percentile alone would take all away
    found = road(Corner(), images, raw, ONES)
    assert np.isnan(found[[0, 2]]).all() and np.isfinite(found[1])
    assert np.isnan(road(Corner(), images, torch.zeros(3, 6, 6), ONES)).all()


def test_nothing_else_is_disturbed(images: Tensor) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    before = images.clone()
    road(Corner(), images, corner_map(slice(0, 1), slice(0, 1)), ONES)
    assert torch.equal(torch.rand(2), expected) and torch.equal(images, before)
