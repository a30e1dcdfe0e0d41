"""Twins between splits, of pictures made up from noise of every scale, as photographs have it."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from dait.data.base import Split, SplitName
from dait.data.fieldguide import FieldGuide
from dait.data.inspection.duplicates import (
    Leak,
    copies_within,
    correlation,
    find_leaks,
    hash_images,
)

SIZE = 64


def scenes(count: int, seed: int = 0) -> np.ndarray:
    """``(count, 64, 64, 3)``: coarse, middling and fine noise, coloured."""
    rng = np.random.default_rng(seed)
    total = np.zeros((count, SIZE, SIZE, 3))
    for cells, weight in ((4, 1.0), (8, 0.7), (16, 0.5), (64, 0.2)):
        noise = rng.integers(0, 256, (count, cells, cells, 3), dtype=np.uint8)
        layers = [
            Image.fromarray(one).resize((SIZE, SIZE), Image.Resampling.BICUBIC) for one in noise
        ]
        total += weight * np.stack([np.asarray(layer, dtype=np.float64) for layer in layers])
    return (total / 2.4).astype(np.uint8)


def split(name: SplitName, images: np.ndarray, label: int = 0) -> Split:
    labels = np.full(len(images), label, dtype=np.int64)
    return Split(name, images, labels, tuple(f"{name}/{number}" for number in range(len(images))))


def leaks(
    train: np.ndarray, val: np.ndarray, test: np.ndarray, test_label: int = 0
) -> tuple[Leak, ...]:
    splits: dict[SplitName, Split] = {
        "train": split("train", train),
        "val": split("val", val),
        "test": split("test", test, test_label),
    }
    return find_leaks(
        splits, {name: hash_images(one.images, lambda done: None) for name, one in splits.items()}
    )


def jpeg(image: Image.Image) -> Image.Image:
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=40)
    return Image.open(packed).convert("RGB")


def cut(image: Image.Image) -> Image.Image:
    inner = image.crop((1, 1, SIZE - 1, SIZE - 1))
    return inner.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def halved(image: Image.Image) -> Image.Image:
    half = image.resize((SIZE // 2, SIZE // 2), Image.Resampling.BOX)
    return half.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved again": jpeg,
    "scaled": halved,
    "cut": cut,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
}


def test_copies_are_found_and_unrelated_images_are_not() -> None:
    images = scenes(60)
    found = leaks(images[:30], images[30:40], np.concatenate([images[40:], images[[3, 7, 33]]]))
    assert found == (
        Leak("same", "train/3", "test/20"),
        Leak("same", "train/7", "test/21"),
        Leak("same", "val/3", "test/22"),
    )


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies(change: str) -> None:
    images = scenes(60)
    copies = [np.asarray(CHANGES[change](Image.fromarray(image))) for image in images[:20]]
    found = leaks(images[:40], images[40:], np.stack(copies))
    assert {leak.kind for leak in found} == {"near"}
    pairs = [(leak.first, leak.second) for leak in found]
    assert set(pairs) <= {(f"train/{number}", f"test/{number}") for number in range(20)}
    assert len(pairs) == len(set(pairs)) >= 18


def test_a_look_alike_is_no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same colours in the same places, and other fine parts: another shelf of the same shop."""
    rng = np.random.default_rng(5)
    ramp = np.arange(SIZE)[None, None, :, None] * np.array([2.0, -2.0, 1.5]) + [40, 180, 60]
    fine = np.kron(rng.choice([-8, 8], (8, 32, 32, 1)), np.ones((1, 2, 2, 1)))
    one, other = ((ramp + sign * fine).clip(0, 255).astype(np.uint8) for sign in (1, -1))
    assert leaks(one[:4], scenes(2), other[4:]) == ()
    assert leaks(one, scenes(2), other) == ()
    monkeypatch.setattr("dait.data.inspection.duplicates._DETAIL_AGREES", -1)
    assert len(leaks(one, scenes(2), other)) >= 6  # it was the fine parts that told them apart


def test_every_evaluated_image_is_listed_once_and_training_goes_first() -> None:
    images = scenes(10)
    twice = np.concatenate([images[:4], images[:4]])
    found = leaks(twice, images[:1], images[:2])
    assert [(leak.first, leak.second) for leak in found] == [
        ("train/0", "val/0"),
        ("train/0", "test/0"),
        ("train/1", "test/1"),
    ]


def test_labels_that_differ_are_told() -> None:
    images = scenes(4)
    assert [leak.labels_differ for leak in leaks(images[:2], images[2:], images[:1], 1)] == [True]
    assert [leak.labels_differ for leak in leaks(images[:2], images[2:], images[:1], 0)] == [False]


def test_flat_images_are_only_compared_by_their_pixels() -> None:
    greys = [np.full((1, SIZE, SIZE, 3), grey, dtype=np.uint8) for grey in (10, 11, 10)]
    assert [leak.kind for leak in leaks(*greys)] == ["same"]


def test_empty_and_crowded_splits() -> None:
    """No image at all, and very many with one hash: the same scene, ever brighter."""
    image = scenes(1)[0].astype(np.int16)
    crowd = np.stack([np.clip(image // 2 + step // 4, 0, 255) for step in range(300)])
    found = leaks(
        crowd[::2].astype(np.uint8), crowd[:0].astype(np.uint8), crowd[1::2].astype(np.uint8)
    )
    assert len(found) == 150


def test_copies_within_a_split() -> None:
    images = scenes(5)
    again = hash_images(np.concatenate([images, images[:2], images[:1]]), lambda done: None)
    assert copies_within(again) == 3


def test_tracing_tells_how_far_it_is() -> None:
    told: list[int] = []
    hash_images(scenes(3), told.append)
    assert told == [1, 2, 3]


def test_correlation() -> None:
    one = np.random.default_rng(0).normal(size=(5, 4, 4))
    expected = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, one[::-1], strict=True)
    ]
    np.testing.assert_allclose(correlation(one, one[::-1]), expected, atol=1e-5)
    assert correlation(np.ones((1, 4)), one[:1].reshape(1, -1)[:, :4]).tolist() == [0]


def test_the_field_guide_has_no_twins(birds: FieldGuide) -> None:
    splits = {name: birds.split(name) for name in ("train", "val", "test")}
    traces = {name: hash_images(one.images, lambda done: None) for name, one in splits.items()}
    assert find_leaks(splits, traces) == ()  # type: ignore[arg-type]
