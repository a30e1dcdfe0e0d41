"""Images of one split that are in another too: leaks, which flatter every network they test.

Copies are found by their pixels. Near copies (saved again, scaled, brightened, cut by a hair, a
second shot from the same place) are found in three steps, each for fewer pairs than the one before:
a 64-bit difference hash, of which one byte must agree, so that only images within a bucket are
compared; small colour thumbnails; then the fine structure of the images themselves. It is the last
that tells a second shot of one crate of tomatoes from a shot of another crate.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from dait.data.base import SPLITS, UNLABELLED, Split, SplitName
from dait.data.stored import Images

# Measured at 128 px. Of 200 photographs each saved as JPEG of quality 20, halved, or brightened and
# darkened by a fifth, every copy agreed by 0.99 and 0.97 or more; cut by 2 % on all sides, 19 of 20
# by 0.94 and 0.66. Of 2,485 photographs of a test split and 1,000 drawings of the Field Guide none
# agreed with one for training by more than 0.92 and 0.93; the most alike, by 0.13 and 0.63 of their
# fine structure.
_THUMB_AGREES, _DETAIL_AGREES = 0.95, 0.5  # correlations
_ROUGHLY = 0.94  # of the thumbnails that are kept, 8 × 8, where the final ones are 16 × 16
_BITS_APART = 12  # of 64
_FLAT = 2.0  # grey levels; the hash of an image with less contrast is noise
_TRIES = 3  # candidates of the other split compared closely, per image
_BLOCK = 2048  # rows of the query compared at a time

# A byte of the hash takes one cell of every row and column, so that an even sky fills none.
_ORDER = np.array([8 * row + (row + byte) % 8 for byte in range(8) for row in range(8)])


@dataclass(frozen=True)
class Leak:
    """An image that is in two splits: ``first`` and ``second`` are ids, ``second`` is evaluated.

    kind: ``same`` for equal pixels once decoded, ``near`` for the same scene to the eye.
    labels_differ: whether the two are in different classes besides.
    """

    kind: Literal["same", "near"]
    first: str
    second: str
    labels_differ: bool = False


@dataclass(frozen=True)
class ImageHashes:
    """Hashes and thumbnails by which ``n`` images are recognised.

    digests: 16 bytes each, of the pixels. bits: ``(n, 64)`` int8, 1 or −1. thumbs: ``(n, 8, 8, 3)``
    uint8. flat: ``(n,)`` whether an image has next to no contrast. brightest, contrast: ``(n,)``
    uint8, the greatest value, and the greatest difference within a channel.
    """

    digests: tuple[bytes, ...]
    bits: np.ndarray
    thumbs: np.ndarray
    flat: np.ndarray
    brightest: np.ndarray
    contrast: np.ndarray


def hash_images(images: Images, progress: Callable[[int], object]) -> ImageHashes:
    """Hashes of ``(n, S, S, 3)`` uint8 images; ``progress`` is called with the images done."""
    count = len(images)
    digests = []
    bits = np.empty((count, 64), dtype=np.int8)
    thumbs = np.empty((count, 8, 8, 3), dtype=np.uint8)
    brightest, contrast = np.empty((2, count), dtype=np.uint8)
    for index in range(count):
        pixels = np.ascontiguousarray(images[index])
        digests.append(hashlib.blake2b(pixels.tobytes(), digest_size=16).digest())
        image = Image.fromarray(pixels)
        lows, highs = zip(*image.getextrema(), strict=True)
        brightest[index] = max(highs)
        contrast[index] = max(high - low for low, high in zip(lows, highs, strict=True))
        grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
        bits[index] = np.where(grey[:, 1:] > grey[:, :-1], 1, -1).reshape(64)[_ORDER]
        thumbs[index] = np.asarray(image.resize((8, 8), Image.Resampling.BOX))
        progress(index + 1)
    flat = thumbs.std(axis=(1, 2, 3)) < _FLAT
    return ImageHashes(tuple(digests), bits, thumbs, flat, brightest, contrast)


def find_leaks(
    splits: Mapping[SplitName, Split], hashes: Mapping[SplitName, ImageHashes]
) -> tuple[Leak, ...]:
    """At most one leak for every validation and test image: its twin in an earlier split, or among
    the unlabelled images, which are learned from too.

    A copy goes before a near copy, a training image before a validation image and that before an
    unlabelled one, the more alike before the less; so the leaks of kind and split can be counted as
    images.
    """
    more: tuple[SplitName, ...] = ("unlabelled",) if "unlabelled" in splits else ()
    leaks = []
    for position, second in enumerate(SPLITS[1:], start=1):
        found: dict[int, Leak] = {}
        for kind in ("same", "near"):
            twins = _same if kind == "same" else _near
            for first in (*SPLITS[:position], *more):
                todo = [index for index in range(len(splits[second])) if index not in found]
                pairs = twins(splits[first], hashes[first], splits[second], hashes[second], todo)
                for one, other in pairs:
                    label = splits[first].labels[one]
                    found[other] = Leak(
                        "same" if kind == "same" else "near",
                        splits[first].ids[one],
                        splits[second].ids[other],
                        bool(label not in (UNLABELLED, splits[second].labels[other])),
                    )
        leaks += [found[index] for index in sorted(found)]
    return tuple(leaks)


def copies_within(hashes: ImageHashes) -> int:
    """How many images of a split equal an earlier one of it."""
    return len(hashes.digests) - len(set(hashes.digests))


def _same(
    _: Split, base: ImageHashes, __: Split, query: ImageHashes, todo: list[int]
) -> Iterable[tuple[int, int]]:
    first: dict[bytes, int] = {}
    for index, digest in enumerate(base.digests):
        first.setdefault(digest, index)
    return [(first[query.digests[i]], i) for i in todo if query.digests[i] in first]


def _near(
    first: Split, base: ImageHashes, second: Split, query: ImageHashes, todo: list[int]
) -> Iterable[tuple[int, int]]:
    rows = np.array([index for index in todo if not query.flat[index]], dtype=np.int64)
    columns = np.flatnonzero(~base.flat)
    alike: dict[int, dict[int, float]] = {}
    for some, others in _buckets(query.bits[rows], base.bits[columns]):
        for one, other, score in _roughly(query, base, rows[some], columns[others]):
            alike.setdefault(one, {})[other] = score
    for one, candidates in sorted(alike.items()):
        best = sorted(candidates, key=lambda other: -candidates[other])[:_TRIES]
        for other in best:
            if _agree(first.images[other], second.images[one]):
                yield other, one
                break


def _buckets(query: np.ndarray, base: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Rows of both whose hashes share a byte, a block at a time."""
    keys, others = (np.packbits(bits > 0, axis=1) for bits in (query, base))
    for byte in range(8):
        order = np.argsort(others[:, byte], kind="stable")
        edges = np.searchsorted(others[order, byte], np.arange(257))
        for key in np.unique(keys[:, byte]).tolist():
            members = order[edges[key] : edges[key + 1]]
            same = np.flatnonzero(keys[:, byte] == key)
            for start in range(0, len(same) if len(members) else 0, _BLOCK):
                yield same[start : start + _BLOCK], members


def _roughly(
    query: ImageHashes, base: ImageHashes, rows: np.ndarray, columns: np.ndarray
) -> Iterable[tuple[int, int, float]]:
    """Of the pairs within reach of the hash, those whose thumbnails are alike, with how much."""
    # For ±1 vectors the product counts agreements less disagreements: one matrix product.
    product = query.bits[rows].astype(np.float32) @ base.bits[columns].T.astype(np.float32)
    if product.shape[1] > _TRIES:
        reach = np.partition(product, -_TRIES, axis=1)[:, -_TRIES, None]
        product = np.where(product >= reach, product, -64)
    some, others = np.nonzero(product >= 64 - 2 * _BITS_APART)
    scores = correlation(query.thumbs[rows[some]], base.thumbs[columns[others]])
    for place in np.flatnonzero(scores >= _ROUGHLY):
        one, other = rows[some[place]], columns[others[place]]
        yield int(one), int(other), float(scores[place])


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two ``(S, S, 3)`` images show the same scene, in colours and in fine structure."""
    pictures = [Image.fromarray(np.ascontiguousarray(image)) for image in (one, other)]
    thumbs = [np.asarray(image.resize((16, 16), Image.Resampling.BOX)) for image in pictures]
    if correlation(thumbs[0][None], thumbs[1][None])[0] < _THUMB_AGREES:
        return False
    fine = [_detail(image) for image in pictures]
    return bool(correlation(fine[0][None], fine[1][None])[0] >= _DETAIL_AGREES)


def _detail(image: Image.Image) -> np.ndarray:
    """``(24, 24)``: what is left of the greys once every 3 × 3 neighbourhood's mean is taken."""
    small = image.convert("L").resize((24, 24), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float32)
    padded = np.pad(grey, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return grey - windows.mean(axis=(2, 3))


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``(n,)`` Pearson correlations of two ``(n, ...)`` arrays; 0 where one of them is constant."""
    flat = (len(one), math.prod(one.shape[1:]))
    rows = [array.reshape(flat).astype(np.float32) for array in (one, other)]
    centred = [array - array.mean(axis=1, keepdims=True) for array in rows]
    lengths = np.linalg.norm(centred[0], axis=1) * np.linalg.norm(centred[1], axis=1)
    products = (centred[0] * centred[1]).sum(axis=1)
    return np.where(lengths > 0, products / np.maximum(lengths, 1e-6), 0)
