"""Localisation figures against maps whose scores are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dait.evidence.localisation.scores import localise

PARTS = ("bill", "wing")


def mask() -> np.ndarray:
    """8 × 8: a 4 × 4 object at the top left, its first column the bill, the rest the wing."""
    labels = np.zeros((8, 8), dtype=np.uint8)
    labels[:4, :4] = 2
    labels[:4, 0] = 1
    return labels


def test_a_uniform_map_scores_the_area_share() -> None:
    found = localise(torch.ones(1, 2, 2), mask()[None], PARTS)
    share = 16 / 64
    for value in (found.mass, found.area, found.pointing, found.rank):
        assert value[0] == pytest.approx(share)
    assert found.part_mass[0] == pytest.approx([4 / 64, 12 / 64])
    assert found.part_area[0] == pytest.approx([4 / 64, 12 / 64])


def test_a_perfect_map_scores_one() -> None:
    raw = torch.from_numpy((mask() > 0).astype(np.float32))[None]
    found = localise(raw, mask()[None], PARTS)
    assert (found.mass[0], found.pointing[0], found.rank[0]) == (1.0, 1.0, 1.0)
    assert found.part_mass[0] == pytest.approx([0.25, 0.75])


def test_a_map_of_the_background_scores_zero() -> None:
    raw = torch.zeros(1, 8, 8)
    raw[0, 4:, 4:] = 1.0  # 16 pixels, as many as the object has
    found = localise(raw, mask()[None])
    assert (found.mass[0], found.pointing[0], found.rank[0]) == (0.0, 0.0, 0.0)


def test_magnitude_does_not_matter_and_an_offset_does() -> None:
    raw = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0))
    plain = localise(raw, mask()[None]).mass[0]
    assert localise(raw * 1e-4, mask()[None]).mass[0] == pytest.approx(plain, rel=1e-5)
    # A map is not stretched to [0, 1] first: on a high floor it nears the area share.
    assert localise(raw + 1000, mask()[None]).mass[0] == pytest.approx(0.25, abs=1e-3)


def test_upsampling_is_bilinear() -> None:
    raw = torch.tensor([[[1.0, 0.0]]])
    labels = np.zeros((1, 1, 4), dtype=np.uint8)
    labels[0, 0, :2] = 1
    # 1 × 2 → 1 × 4 gives 1, 0.75, 0.25, 0.
    assert localise(raw, labels).mass[0] == pytest.approx(1.75 / 2)


def test_the_pointing_game_asks_only_for_the_maximum() -> None:
    raw = torch.full((1, 8, 8), 1.0)
    raw[0, 2, 2] = 1.1
    found = localise(raw, mask()[None])
    assert found.pointing[0] == 1.0 and found.mass[0] < 0.3


def test_rank_counts_the_most_relevant_pixels() -> None:
    raw = torch.zeros(1, 8, 8)
    raw[0, :4, :3] = 5.0  # 12 object pixels first
    raw[0, 7, :4] = 3.0  # then 4 of the background
    assert localise(raw, mask()[None]).rank[0] == pytest.approx(12 / 16)


def test_ties_of_the_rank_count_by_their_mean() -> None:
    raw = torch.zeros(1, 8, 8)
    raw[0, 0, 0] = 1.0  # one clear pixel; 15 more are drawn from 63 equal ones, 15 of the object
    expected = (1 + 15 * 15 / 63) / 16
    assert localise(raw, mask()[None]).rank[0] == pytest.approx(expected)


def test_empty_maps_and_images_without_object_are_counted_not_scored() -> None:
    raw = torch.stack([torch.ones(4, 4), torch.zeros(4, 4), torch.ones(4, 4)])
    masks = np.stack([mask(), mask(), np.zeros((8, 8), dtype=np.uint8)])
    found = localise(raw, masks, PARTS)
    assert found.empty.tolist() == [False, True, False]
    assert found.unmasked.tolist() == [False, False, True]
    summary = found.summary()
    assert (summary["scored"], summary["empty"], summary["unmasked"]) == (1, 1, 1)
    assert summary["mass"] == pytest.approx(0.25)
    assert summary["parts"]["bill"] == {"mass": 4 / 64, "area": 4 / 64, "images": 1}


def test_a_hidden_part_is_not_scored() -> None:
    labels = mask()
    labels[labels == 1] = 0
    found = localise(torch.ones(1, 4, 4), labels[None], PARTS)
    assert np.isnan(found.part_mass[0, 0]) and np.isfinite(found.part_mass[0, 1])
    assert found.summary()["parts"]["bill"] == {"mass": None, "area": None, "images": 0}


def test_a_plain_object_mask_needs_no_parts() -> None:
    found = localise(torch.ones(1, 4, 4), (mask() > 0)[None])
    assert found.mass[0] == pytest.approx(0.25) and found.part_mass.shape == (1, 0)


def test_nothing_to_score_gives_no_figure() -> None:
    summary = localise(torch.zeros(1, 4, 4), mask()[None]).summary()
    assert summary["mass"] is None and summary["scored"] == 0


@pytest.mark.parametrize(
    "raw", [torch.ones(2, 4, 4), torch.full((1, 4, 4), -1.0), torch.full((1, 4, 4), torch.nan)]
)
def test_what_does_not_fit_is_refused(raw: torch.Tensor) -> None:
    with pytest.raises(ValueError):
        localise(raw, mask()[None])
