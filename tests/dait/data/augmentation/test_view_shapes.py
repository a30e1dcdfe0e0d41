"""Views of images of several shapes, and of squares as they have always been."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from dait.data.augmentation import views as augment
from dait.data.augmentation.draws import Draws
from dait.data.augmentation.views import ViewPolicy, view_batch, view_boxes, view_masks
from dait.data.base import ViewKind
from dait.data.stored import StoredImages

SEED = 11


def shaped(shapes: Sequence[tuple[int, int]], size: int = 24, seed: int = 3) -> StoredImages:
    """Noise of these heights and widths."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, 3 * sum(h * w for h, w in shapes), dtype=np.uint8)
    return StoredImages(pixels, np.array(shapes, np.int32), size)


SHAPES = ((32, 32), (32, 41), (96, 32), (32, 96), (41, 32), (32, 41), (33, 32), (32, 32), (32, 41))


@pytest.mark.parametrize("kind", ["original", "light", "full", "paper"])
def test_a_view_does_not_depend_on_the_shapes_beside_it(kind: ViewKind) -> None:
    stored, policy, rng = shaped(SHAPES * 5), ViewPolicy(kind, SEED), np.random.default_rng(0)
    every = np.arange(len(stored))
    together = view_batch(stored[every], every, every % 3, policy)
    assert together.shape == (len(stored), 3, 24, 24)
    for _ in range(4):
        some = rng.permutation(len(stored))[: rng.integers(1, 40)]
        again = view_batch(stored[some], some, some % 3, policy)
        assert torch.equal(again, together[torch.from_numpy(some)])
    for number in (0, 1, 2, 3, 6):  # an array of one shape is the same
        alone = view_batch(stored.image(number)[None], [number], number % 3, policy, size=24)
        assert torch.equal(alone[0], together[number])


def test_the_original_view_is_what_evaluation_sees() -> None:
    stored = shaped(SHAPES)
    seen = view_batch(stored[:], np.arange(len(SHAPES)), 0, ViewPolicy("original", SEED))
    centres = stored.centres()
    assert centres.shape == (len(SHAPES), 24, 24, 3)
    assert torch.equal(seen, torch.from_numpy(centres[:]).permute(0, 3, 1, 2).float() / 255)
    np.testing.assert_array_equal(centres[3], stored.image(3)[4:28, 36:60])
    np.testing.assert_array_equal(centres[[3, 0]], np.asarray(centres)[[3, 0]])
    np.testing.assert_array_equal(centres[-1], centres[len(SHAPES) - 1])
    with pytest.raises(IndexError):
        centres[len(SHAPES)]


def positions(height: int, width: int, count: int) -> np.ndarray:
    """Images whose red and green say how far right and down a pixel is, in pixels."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(width), np.arange(height)[:, None]
    return np.repeat(image[None], count, axis=0)


def test_training_shows_things_as_large_as_evaluation_does() -> None:
    """A view of S pixels shows about S stored ones, however wide the image is."""
    count, size, policy = 60, 56, ViewPolicy("light", SEED)
    for height, width in ((64, 64), (64, 192), (192, 64)):
        images = positions(height, width, count)
        views = view_batch(images, np.arange(count), 0, policy, size=size) * 255
        steps = (views[:, 0, :, 1:] - views[:, 0, :, :-1]).abs().flatten(1).median(1).values
        downs = (views[:, 1, 1:] - views[:, 1, :-1]).abs().flatten(1).median(1).values
        scale = (steps * downs).sqrt()  # stored pixels a pixel of the view; in evaluation 1
        assert scale.min() > 0.85 and scale.max() < 1.2 and abs(scale.mean() - 1.03) < 0.05
        if width != height:  # the ends of long things are seen, which evaluation cuts off
            ends = views[:, 0] if width > height else views[:, 1]
            assert ends.min() < 8 and ends.max() > 184


def test_a_paper_view_is_a_window_of_224_of_256_pixels_of_any_image() -> None:
    shapes = [(64, 64), (64, 192), (192, 64)]
    for height, width in shapes:
        shape = augment._Shape(height, width)
        maps = augment._geometry(Draws(range(50), 1, SEED, 50), augment._WINDOWS["paper"], shape)
        across = np.hypot(maps[:, 0] * width, maps[:, 3] * height) / 2
        down = np.hypot(maps[:, 1] * width, maps[:, 4] * height) / 2
        np.testing.assert_allclose(across, 56 / 2, rtol=1e-6)
        np.testing.assert_allclose(down, 56 / 2, rtol=1e-6)
        right = (maps[:, 0] * maps[:, 1] * width**2 + maps[:, 3] * maps[:, 4] * height**2) / 4
        assert np.abs(right).max() < 1e-3  # a rotation, no shear


@pytest.mark.parametrize("kind", ["original", "light"])
@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_masks_and_boxes_follow_wide_and_high_images(
    kind: ViewKind, shape: tuple[int, int]
) -> None:
    count, size, policy, index = 24, 32, ViewPolicy(kind, SEED), np.arange(24)
    masks = np.zeros((count, *shape), np.uint8)
    masks[:, 12:30, 15:33] = 1
    seen = view_masks(masks, index, 1, policy, size=size).numpy()
    boxes = np.tile([15, 12, 33, 30], (count, 1)).astype(np.float32)
    placed = view_boxes(boxes, size, index, 1, policy, shape=shape).numpy()
    images = np.repeat(masks[..., None] * 255, 3, axis=3)
    pixels = view_batch(images, index, 1, policy, size=size).mean(1).numpy()
    assert ((pixels > 0.5) != (seen > 0)).mean() < 0.02
    shown = seen.any(axis=(1, 2))
    assert shown.sum() > count / 3
    for mask, box in zip(seen[shown], placed[shown], strict=True):
        rows, columns = np.nonzero(mask)
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box, around, atol=1.01)


FIRST = {
    "original": ((0.113725, 0.086275, 0.423529, 0.631373), (0.494404, 0.502569, 0.492025, 0.50623)),
    "light": ((0.31263, 0.605329, 0.448777, 0.709431), (0.501682, 0.502925, 0.493443, 0.507118)),
    "full": ((0.07866, 0.58286, 0.413215, 0.53999), (0.455371, 0.568486, 0.479599, 0.613916)),
    "paper": ((0.256089, 0.848536, 0.637212, 0.708152), (0.439289, 0.594876, 0.472457, 0.644604)),
}


@pytest.mark.parametrize("kind", FIRST)
def test_views_of_squares_are_those_of_augment_version_1(kind: ViewKind) -> None:
    """Embeddings that are kept of the Field Guide's views, and studies of it, depend on these."""
    images = np.random.default_rng(8).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
    views = view_batch(images, [3, 50, 7, 8], 2, ViewPolicy(kind, 17)).numpy()
    pixels, means = FIRST[kind]
    some = views[range(4), [0, 1, 2, 0], [5, 11, 23, 0], [9, 12, 1, 20]]
    np.testing.assert_allclose(some, pixels, atol=2e-6)
    np.testing.assert_allclose(views.mean((1, 2, 3)), means, atol=2e-6)
    assert augment.AUGMENT_VERSION == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["original", "light", "full", "paper"])
def test_a_gpu_makes_the_views_that_a_processor_makes(kind: ViewKind) -> None:
    stored, place = shaped(SHAPES * 5), torch.device("cuda")
    every = np.arange(len(stored))
    here = view_batch(stored[every], every, 1, ViewPolicy(kind, SEED))
    packed = augment.pinned(stored[every])
    for batch in (stored[every], packed):
        there = view_batch(batch, every, 1, ViewPolicy(kind, SEED), device=place)
        assert there.device.type == "cuda"
        torch.testing.assert_close(there.cpu(), here, atol=2e-5, rtol=0)
