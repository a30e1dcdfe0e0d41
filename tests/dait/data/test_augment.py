"""Views replay bit for bit, and do what their policy says."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dait.data import augment
from dait.data.augment import ViewPolicy, view_batch, view_masks
from dait.errors import UserError

RANDOM = [ViewPolicy("light"), ViewPolicy("full")]
ALL = [ViewPolicy("original"), *RANDOM]
SEED = 11


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
    views = view_batch(noise(), np.arange(40), 0, policy, SEED)
    assert views.shape == (40, 3, 33, 33) and views.dtype == torch.float32
    assert views.is_contiguous()
    assert views.min() >= 0 and views.max() <= 1


def test_original_is_the_image() -> None:
    images = noise(3)
    views = view_batch(images, [0, 1, 2], 5, ViewPolicy("original"), SEED)
    expected = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(views, expected)


@pytest.mark.parametrize("policy", RANDOM, ids=lambda policy: policy.kind)
def test_pixels_do_not_depend_on_the_batch(policy: ViewPolicy) -> None:
    images, views = noise(), np.arange(40) % 7
    whole = view_batch(images, np.arange(40), views, policy, SEED)
    rng = np.random.default_rng(1)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        order, start = rng.permutation(40), 0
        while start < 40:
            rows = order[start : start + int(rng.integers(1, 20))]
            again = view_batch(images[rows], rows, views[rows], policy, SEED)
            assert torch.equal(again, whole[rows])
            start += len(rows)


SCRIPT = """
import hashlib, numpy as np
from dait.data.augment import ViewPolicy, view_batch
images = np.random.default_rng(0).integers(0, 256, (40, 33, 33, 3), dtype=np.uint8)
views = view_batch(images[5:30], np.arange(5, 30), 2, ViewPolicy("full"), 11)
print(hashlib.sha256(views[3:].numpy().tobytes()).hexdigest())
"""


def test_pixels_do_not_depend_on_the_process() -> None:
    root = Path(augment.__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT]
    out = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    here = view_batch(noise(), np.arange(40), 2, ViewPolicy("full"), SEED)[8:30]
    assert out.strip() == hashlib.sha256(here.numpy().tobytes()).hexdigest()


@pytest.mark.parametrize("policy", RANDOM, ids=lambda policy: policy.kind)
def test_index_view_and_seed_each_give_another_view(policy: ViewPolicy) -> None:
    images = noise(1)
    seen = {
        view_batch(images, [index], view, policy, seed).numpy().tobytes()
        for index in (0, 1)
        for view in (0, 1)
        for seed in (0, 1, -1)
    }
    assert len(seen) == 12


def test_arrays_tensors_and_read_only_maps_are_alike() -> None:
    images, policy = noise(4), ViewPolicy("light")
    frozen = images.copy()
    frozen.flags.writeable = False
    expected = view_batch(images, np.arange(4), 0, policy, SEED)
    assert torch.equal(view_batch(frozen, np.arange(4), 0, policy, SEED), expected)
    as_tensor = view_batch(torch.from_numpy(images), torch.arange(4), torch.zeros(4), policy, SEED)
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
    views = view_batch(images, np.arange(count), 0, ViewPolicy("light"), SEED)
    flipped = (views[:, 1, 2, 2] > 0.9).float().mean()
    assert 0.35 < flipped < 0.65
    assert (views[:, 1, 2, 2] + views[:, 0, 2, 2] > 0.99).all()  # never upside down
    whole = view_batch(images[:1], [0], 0, ViewPolicy("original"), SEED)
    assert not any(torch.equal(view, whole[0]) for view in views)
    assert torch.equal(views.amax(dim=(2, 3)), torch.ones(count, 3))  # pure colours stay pure


def test_crops_keep_the_promised_area() -> None:
    """Coordinates painted into the image come back as the corners of the crop."""
    size, count = 64, 300
    ramp = np.round((np.arange(size) + 0.5) / size * 255).astype(np.uint8)
    image = np.zeros((size, size, 3), np.uint8)
    image[..., 0], image[..., 1] = ramp[None, :], ramp[:, None]
    images = np.repeat(image[None], count, axis=0)
    views = view_batch(images, np.arange(count), 0, ViewPolicy("light"), SEED)
    width = (views[:, 0, 32, -1] - views[:, 0, 32, 0]).abs() * size / (size - 1)
    height = (views[:, 1, -1, 32] - views[:, 1, 0, 32]).abs() * size / (size - 1)
    area = width * height
    assert area.max() <= 1.03 and area.max() > 0.9
    assert area.min() < 0.75 and area.min() > 0.62  # clamped sides may cut a little below 0.7


def test_full_changes_colours_and_sometimes_greys_and_blurs() -> None:
    count = 300
    images = np.repeat(noise(1), count, axis=0)
    views = view_batch(images, np.arange(count), 0, ViewPolicy("full"), SEED)
    spread = (views.amax(dim=1) - views.amin(dim=1)).amax(dim=(1, 2))
    assert 0.04 < (spread < 1e-3).float().mean() < 0.2
    brightness = views.mean(dim=(1, 2, 3))
    assert brightness.std() > 0.05
    edges = (views[..., 1:] - views[..., :-1]).abs().mean(dim=(1, 2, 3))
    light = view_batch(images, np.arange(count), 0, ViewPolicy("light"), SEED)
    sharp = (light[..., 1:] - light[..., :-1]).abs().mean(dim=(1, 2, 3))
    assert edges.min() < 0.4 * sharp.min()


def test_blur_keeps_a_flat_image_flat() -> None:
    images = np.full((200, 32, 32, 3), 100, np.uint8)
    views = view_batch(images, np.arange(200), 0, ViewPolicy("full"), SEED)
    assert (views.amax(dim=(2, 3)) - views.amin(dim=(2, 3))).max() < 1e-5


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: policy.kind)
def test_masks_follow_the_image(policy: ViewPolicy) -> None:
    rng = np.random.default_rng(3)
    masks = np.zeros((50, 64, 64), np.uint8)
    for mask in masks:
        top, left = rng.integers(0, 40, 2)
        mask[top : top + 24, left : left + 24] = 7
    images = np.repeat((masks > 0)[..., None] * np.uint8(255), 3, axis=3)
    seen = view_masks(masks, np.arange(50), 4, policy, SEED)
    assert seen.shape == (50, 64, 64) and seen.dtype == torch.uint8
    assert set(seen.unique().tolist()) == {0, 7}
    pixels = view_batch(images, np.arange(50), 4, policy, SEED).mean(dim=1)
    for view, mask in zip(pixels, seen, strict=True):
        assert view[mask > 0].mean() - view[mask == 0].mean() > 0.3
    if policy.kind != "full":  # no colours and no blur: the edge pixels alone may differ
        assert ((pixels > 0.5) == (seen > 0)).float().mean() > 0.99


def test_fingerprints_tell_policies_apart() -> None:
    names = {policy.fingerprint for policy in ALL}
    assert len(names) == 3 and all(torch.__version__ in name for name in names)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UserError, match="original, light, full"):
        ViewPolicy("strong")  # type: ignore[arg-type]
    policy = ViewPolicy("light")
    with pytest.raises(ValueError, match="uint8"):
        view_batch(noise(2).astype(np.float32), [0, 1], 0, policy, SEED)
    with pytest.raises(ValueError, match="uint8"):
        view_batch(noise(2)[:, :20], [0, 1], 0, policy, SEED)
    with pytest.raises(ValueError, match="indices"):
        view_batch(noise(2), [0], 0, policy, SEED)
