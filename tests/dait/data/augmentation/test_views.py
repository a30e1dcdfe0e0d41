"""Views replay bit for bit, and do what their policy says."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dait.data.augmentation import views as augment
from dait.data.augmentation.draws import Draws
from dait.data.augmentation.views import ViewPolicy, view_batch, view_boxes, view_masks
from dait.errors import UserError

SEED = 11
RANDOM = [ViewPolicy("light", SEED), ViewPolicy("full", SEED), ViewPolicy("paper", SEED)]
ALL = [ViewPolicy("original", SEED), *RANDOM]


def noise(count: int = 40, size: int = 33) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.kind)
def test_shape_type_and_range(policy: ViewPolicy) -> None:
    views = view_batch(noise(), np.arange(40), 0, policy)
    assert views.shape == (40, 3, 33, 33) and views.dtype == torch.float32
    # Unchanged images keep the order of their pixels on disk, which networks read faster.
    # The order of the pixels on disk, which networks read faster.
    assert views.is_contiguous(memory_format=torch.channels_last)
    assert views.min() >= 0 and views.max() <= 1


def test_original_is_the_image() -> None:
    images = noise(3)
    views = view_batch(images, [0, 1, 2], 5, ViewPolicy("original", SEED))
    expected = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(views, expected)


@pytest.mark.parametrize("policy", RANDOM, ids=lambda policy: policy.kind)
def test_pixels_do_not_depend_on_the_batch(policy: ViewPolicy) -> None:
    images, views = noise(), np.arange(40) % 7
    whole = view_batch(images, np.arange(40), views, policy)
    rng = np.random.default_rng(1)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        order, start = rng.permutation(40), 0
        while start < 40:
            rows = order[start : start + int(rng.integers(1, 20))]
            again = view_batch(images[rows], rows, views[rows], policy)
            assert torch.equal(again, whole[rows])
            start += len(rows)


SCRIPT = """
import hashlib, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np, torch
from dait.data.augmentation.views import ViewPolicy, view_batch

workers, threads, batch = map(int, sys.argv[1:4])
def views(kind, rows):
    torch.set_num_threads(threads)
    images = np.random.default_rng(0).integers(0, 256, (40, 33, 33, 3), dtype=np.uint8)
    return view_batch(images[rows], rows, 2, ViewPolicy(kind, 11)).numpy()
if __name__ == "__main__":
    parts = [np.arange(start, min(start + batch, 40)) for start in range(0, 40, batch)]
    with ProcessPoolExecutor(workers) as pool:
        for kind in sys.argv[4:]:
            done = list(pool.map(views, [kind] * len(parts), parts))
            print(hashlib.sha256(np.concatenate(done).tobytes()).hexdigest())
"""


def test_pixels_do_not_depend_on_processes_threads_or_batches(tmp_path: Path) -> None:
    script = tmp_path / "views.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(augment.__file__).parents[3])}
    here = [view_batch(noise(), np.arange(40), 2, policy).numpy() for policy in RANDOM]
    expected = [hashlib.sha256(views.tobytes()).hexdigest() for views in here]
    workers, threads, batch = "2", "2", "7"
    command = [sys.executable, str(script), workers, threads, batch]
    command += [policy.kind for policy in RANDOM]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.split() == expected


PIXELS = {
    "light": [0.3164, 0.8458, 0.4965, 0.1116, 0.2314, 0.6575],
    "full": [0.379, 0.6231, 0.2643, 0.2214, 0.2999, 0.8198],
    "paper": [0.4335, 0.5163, 0.4409, 0.948, 0.3632, 0.8807],
}


def test_views_stay_what_they_were() -> None:
    """The last bits may differ on another processor; more may not without a new version."""
    assert augment.AUGMENT_VERSION == 1
    for policy in RANDOM:
        views = view_batch(noise(), np.arange(40), 2, policy)[[3, 17], :, 10, 11]
        np.testing.assert_allclose(views.flatten(), PIXELS[policy.kind], atol=1e-4)


@pytest.mark.parametrize("policy", RANDOM, ids=lambda policy: policy.kind)
def test_index_view_and_seed_each_give_another_view(policy: ViewPolicy) -> None:
    images = noise(1)
    seen = {
        view_batch(images, [index], view, ViewPolicy(policy.kind, seed)).numpy().tobytes()
        for index in (0, 1)
        for view in (0, 1)
        for seed in (0, 1, -1)
    }
    assert len(seen) == 12


def test_arrays_tensors_and_read_only_maps_are_alike() -> None:
    images, policy = noise(4), ViewPolicy("light", SEED)
    frozen = images.copy()
    frozen.flags.writeable = False
    expected = view_batch(images, np.arange(4), 0, policy)
    assert torch.equal(view_batch(frozen, np.arange(4), 0, policy), expected)
    as_tensor = view_batch(torch.from_numpy(images), torch.arange(4), torch.zeros(4), policy)
    assert torch.equal(as_tensor, expected)


def corners(size: int = 64) -> np.ndarray:
    """Each quarter of the image in its own colour, so that a view says where it looked."""
    image = np.zeros((size, size, 3), np.uint8)
    half = size // 2
    image[:half, :half], image[:half, half:] = (255, 0, 0), (0, 255, 0)
    image[half:, :half], image[half:, half:] = (0, 0, 255), (255, 255, 255)
    return image


def test_light_crops_and_flips_and_keeps_the_colours() -> None:
    count = 200
    images = np.repeat(corners()[None], count, axis=0)
    views = view_batch(images, np.arange(count), 0, ViewPolicy("light", SEED))
    flipped = (views[:, 1, 2, 2] > 0.9).float().mean()
    assert 0.35 < flipped < 0.65
    assert (views[:, 1, 2, 2] + views[:, 0, 2, 2] > 0.99).all()  # never upside down
    whole = view_batch(images[:1], [0], 0, ViewPolicy("original", SEED))
    assert not any(torch.equal(view, whole[0]) for view in views)
    assert torch.equal(views.amax(dim=(2, 3)), torch.ones(count, 3))  # pure colours stay pure


def test_crops_keep_the_promised_area() -> None:
    """Coordinates painted into the image come back as the corners of the crop."""
    size, count = 64, 300
    ramp = np.round((np.arange(size) + 0.5) / size * 255).astype(np.uint8)
    image = np.zeros((size, size, 3), np.uint8)
    image[..., 0], image[..., 1] = ramp[None, :], ramp[:, None]
    images = np.repeat(image[None], count, axis=0)
    views = view_batch(images, np.arange(count), 0, ViewPolicy("light", SEED))
    width = (views[:, 0, 32, -1] - views[:, 0, 32, 0]).abs() * size / (size - 1)
    height = (views[:, 1, -1, 32] - views[:, 1, 0, 32]).abs() * size / (size - 1)
    area = width * height
    assert area.max() <= 1.03 and area.max() > 0.9
    assert area.min() < 0.75 and area.min() > 0.62  # clamped sides may cut a little below 0.7


def test_full_changes_colours_and_sometimes_greys_and_blurs() -> None:
    count = 300
    images = np.repeat(noise(1), count, axis=0)
    views = view_batch(images, np.arange(count), 0, ViewPolicy("full", SEED))
    spread = (views.amax(dim=1) - views.amin(dim=1)).amax(dim=(1, 2))
    assert 0.04 < (spread < 1e-3).float().mean() < 0.2
    brightness = views.mean(dim=(1, 2, 3))
    assert brightness.std() > 0.05
    edges = (views[..., 1:] - views[..., :-1]).abs().mean(dim=(1, 2, 3))
    light = view_batch(images, np.arange(count), 0, ViewPolicy("light", SEED))
    sharp = (light[..., 1:] - light[..., :-1]).abs().mean(dim=(1, 2, 3))
    assert edges.min() < 0.4 * sharp.min()


def test_blur_keeps_a_flat_image_flat() -> None:
    images = np.full((200, 32, 32, 3), 100, np.uint8)
    views = view_batch(images, np.arange(200), 0, ViewPolicy("full", SEED))
    assert (views.amax(dim=(2, 3)) - views.amin(dim=(2, 3))).max() < 1e-5


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.kind)
def test_masks_follow_the_image(policy: ViewPolicy) -> None:
    rng = np.random.default_rng(3)
    masks = np.zeros((50, 64, 64), np.uint8)
    for mask in masks:
        top, left = rng.integers(0, 40, 2)
        mask[top : top + 24, left : left + 24] = 7
    images = np.repeat((masks > 0)[..., None] * np.uint8(255), 3, axis=3)
    seen = view_masks(masks, np.arange(50), 4, policy)
    assert seen.shape == (50, 64, 64) and seen.dtype == torch.uint8
    assert set(seen.unique().tolist()) == {0, 7}
    pixels = view_batch(images, np.arange(50), 4, policy).mean(dim=1)
    for view, mask in zip(pixels, seen, strict=True):
        assert view[mask > 0].mean() - view[mask == 0].mean() > 0.3
    if policy.kind in (
        "original",
        "light",
    ):  # sharp: only edge pixels may differ
        assert ((pixels > 0.5) == (seen > 0)).float().mean() > 0.99


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.kind)
def test_boxes_follow_the_image(policy: ViewPolicy) -> None:
    """What surrounds a rectangle's view is the box of its corners' views."""
    count, size = 60, 64
    rng = np.random.default_rng(4)
    start = rng.integers(20, 30, (count, 2))
    boxes = np.concatenate([start, start + rng.integers(8, 16, (count, 2))], axis=1)
    masks = np.zeros((count, size, size), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    arguments = (np.arange(count), 3, policy)
    seen = view_boxes(boxes.astype(np.float32), size, *arguments)
    assert seen.shape == (count, 4) and seen.dtype == torch.float32
    whole = 0
    for mask, box in zip(view_masks(masks, *arguments), seen, strict=True):
        if box.min() <= 0 or box.max() >= size:  # the box of what is left may be smaller
            continue
        whole += 1
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box, np.array(around), atol=1.5)
    assert whole > 30


def test_boxes_are_clipped_and_lost() -> None:
    boxes = np.array([[0, 0, 64, 64], [np.nan] * 4, [0, 0, 1, 1]], np.float32)
    for policy in RANDOM:
        seen = np.stack([view_boxes(boxes, 64, [5, 5, 5], view, policy) for view in range(9)])
        assert (seen[:, 0] == [0, 0, 64, 64]).all()
        assert np.isnan(seen[:, 1]).all()
        corner = np.isnan(seen[:, 2])
        assert corner.any() and (corner.all(axis=1) == corner.any(axis=1)).all()
    with pytest.raises(ValueError, match="boxes"):
        view_boxes(boxes[:, :3], 64, [0, 1, 2], 0, ViewPolicy("light", SEED))


def test_paper_looks_through_a_window_and_turns_it_far() -> None:
    """Coordinates painted into the image come back at the middle and the sides of the view."""
    size, count = 64, 300
    ramp = (np.arange(size) * 2 + 60).astype(np.uint8)
    image = np.zeros((size, size, 3), np.uint8)
    image[..., 0], image[..., 1] = ramp[None, :], ramp[:, None]
    images = np.repeat(image[None], count, axis=0)
    policy = ViewPolicy("paper", SEED)
    corners = np.tile(np.array([[32 - 8, 32 - 8, 32 + 8, 32 + 8]], np.float32), (count, 1))
    boxes = view_boxes(corners, size, np.arange(count), 0, policy)
    width = (boxes[:, 2] - boxes[:, 0]).numpy() / (16 / 0.875)  # cos + sin of the angle
    assert 0.99 < width.min() < 1.02 and 1.40 < width.max() < 1.4143
    centre = (boxes[:, :2] + boxes[:, 2:]).numpy() / 2 - size / 2
    assert np.abs(centre).max() < 8 and np.abs(centre).max() > 5
    views = view_batch(images, np.arange(count), 0, policy)
    assert views.std() > 0.1


def test_paper_blurs_every_second_view_by_the_size() -> None:
    count = 200
    for size in (32, 64):
        images = np.repeat(noise(1, size), count, axis=0)
        views = view_batch(images, np.arange(count), 0, ViewPolicy("paper", SEED))
        detail = (views[..., 1:] - views[..., :-1]).abs().mean(dim=(1, 2, 3))
        assert 0.3 < (detail < 0.25 * detail.max()).float().mean() < 0.55


def test_fingerprints_tell_policies_apart() -> None:
    names = {policy.fingerprint for policy in ALL}
    assert len(names) == 4 and all(torch.__version__ in name for name in names)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UserError, match="original, light, full"):
        ViewPolicy("strong")  # type: ignore[arg-type]
    policy = ViewPolicy("light", SEED)
    with pytest.raises(ValueError, match="uint8"):
        view_batch(noise(2).astype(np.float32), [0, 1], 0, policy)
    with pytest.raises(ValueError, match="uint8"):
        view_batch(noise(2)[:, :20], [0, 1], 0, policy)
    with pytest.raises(ValueError, match="indices"):
        view_batch(noise(2), [0], 0, policy)


def test_without_rotation_positions_are_those_of_the_affine_map() -> None:
    still = augment._geometry(
        Draws(np.arange(5), 3, SEED, 5), augment._WINDOWS["light"], augment._Shape(9, 9)
    )
    turned = still.copy()
    turned[0, 1] = 0.25  # one rotated view sends all of them the long way
    found, expected = (
        augment._Grids(geometry, 33, torch.device("cpu")).part(slice(0, 5))
        for geometry in (still, turned)
    )
    assert torch.equal(found[1:], expected[1:]) and not torch.equal(found[0], expected[0])
