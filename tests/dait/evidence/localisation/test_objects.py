"""Which pixels are the object and its distinguishing parts, also through crop and flip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dait.data.augmentation.views import ViewPolicy, view_batch, view_masks
from dait.data.base import Split
from dait.data.fieldguide import FieldGuide
from dait.data.fieldguide.world import PARTS, load_world
from dait.errors import UserError
from dait.evidence.localisation.objects import distinguishing_parts, object_labels
from dait.evidence.localisation.sample import sample_of
from dait.evidence.localisation.scores import localise

GUIDE = load_world().species


def test_distinguishing_parts_are_those_that_vary_in_the_family() -> None:
    found = distinguishing_parts(GUIDE)
    by_name = {species.name: parts for species, parts in zip(GUIDE, found, strict=True)}
    assert by_name["Marsh Lanternwing"] == {"crown", "wing", "eye"}
    assert by_name["Common Thistlefinch"] == {"breast", "head", "throat"}
    assert by_name["Spoonbill Dunecurl"] == {"breast", "wing", "bill"}


def test_parts_are_told_by_the_species_that_the_guide_has() -> None:
    first, second = GUIDE[0], GUIDE[1]
    differing = {
        name for name in first.attributes if first.attributes[name] != second.attributes[name]
    }
    parts = {load_world().attributes[name].part for name in differing}
    assert distinguishing_parts((first, second)) == (frozenset(parts), frozenset(parts))
    assert distinguishing_parts((first,)) == (frozenset(),)
    other_shape = replace(second, attributes={**second.attributes, "shape": "duck"})
    assert distinguishing_parts((first, other_shape))[0] == frozenset(PARTS)


def test_labels_of_the_field_guide(birds: FieldGuide) -> None:
    split = birds.split("test")
    indices = np.array([0, 7, 12])
    found = object_labels(birds, split, indices)
    assert split.masks is not None
    parts = distinguishing_parts(birds.options.guide())
    for labels, index in zip(found, indices, strict=True):
        masks = split.masks[index]
        marks = [PARTS.index(part) + 1 for part in parts[split.labels[index]]]
        np.testing.assert_array_equal(labels > 0, masks > 0)
        np.testing.assert_array_equal(labels == 2, np.isin(masks, marks))
    assert {0, 1, 2} == set(np.unique(found))


def photographs(**marks: np.ndarray) -> Split:
    pixels = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    return Split("test", pixels, np.array([0, 1]), ("a", "b"), **marks)


def test_boxes_and_plain_masks_are_objects() -> None:
    data: object = type("Data", (), {"name": "photographs"})()
    boxes = np.array([[1.0, 2.0, 4.0, 8.0], [np.nan] * 4], dtype=np.float32)
    found = object_labels(data, photographs(boxes=boxes), np.array([0, 1]))  # type: ignore[arg-type]
    assert found[0].sum() == 3 * 6 and found[0, 2:, 1:4].all()
    assert not found[1].any()
    masks = np.zeros((2, 8, 8), dtype=np.uint8)
    masks[1, :2] = 1
    found = object_labels(data, photographs(masks=masks), np.array([1]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found[0], masks[1])
    with pytest.raises(UserError, match="photographs marks its objects neither by masks nor by"):
        object_labels(data, photographs(), np.array([0]))  # type: ignore[arg-type]


def test_the_sample_is_stratified_and_always_the_same(birds: FieldGuide) -> None:
    sample = sample_of(birds, 12)
    assert np.bincount(sample.labels).tolist() == [2] * 6
    np.testing.assert_array_equal(sample.indices, sample_of(birds, 12).indices)
    images = sample.images(np.array([3, 5]))
    chosen = np.array(birds.split("test").images[sample.indices[[3, 5]]])
    np.testing.assert_allclose(images.permute(0, 2, 3, 1).numpy(), chosen / 255, atol=1e-6)
    area, parts = sample.area(1), sample.area(2)
    assert area is not None and area.value == pytest.approx((sample.objects > 0).mean())
    assert parts is not None and 0 < parts.value < area.value
    assert set(sample.some(6).tolist()) < set(range(12))


@pytest.mark.parametrize("kind", ["light", "full"])
def test_masks_follow_crop_flip_and_rotation(birds: FieldGuide, kind: str) -> None:
    # A map that is the object itself, cropped and flipped as the image was, must still lie on it.
    sample = sample_of(birds, 12)
    policy, indices = ViewPolicy(kind), sample.indices  # type: ignore[arg-type]
    painted = np.repeat((sample.objects > 0)[..., None], 3, axis=3).astype(np.uint8) * 255
    for view in range(3):
        marks = view_masks(sample.objects, indices, view, policy).numpy()
        # Light views change no colours; of a full view only the geometry is wanted.
        shape = view_masks((sample.objects > 0).astype(np.uint8), indices, view, policy)
        raw = shape.float()
        if kind == "light":
            raw = view_batch(painted, indices, view, policy).mean(dim=1)
        found = localise(raw, marks)
        assert np.nanmin(found.mass) > 0.85
        still = localise(torch.from_numpy((sample.objects > 0).astype(np.float32)), marks)
        assert np.nanmean(found.mass) > np.nanmean(still.mass) + 0.1
