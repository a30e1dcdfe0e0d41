"""What is unlike anything trained on: by features alone, and the same inside a graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dait.evaluation.features.familiarity import by_prefix, fit_familiarity
from dait.evaluation.unlike import UnlikeScore

CLASSES, WIDTH = 5, 24


def drawn(seed: int, n: int = 60, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Features of n images a class that vary along three directions, as ReLU features: positive."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).uniform(2, 4, (CLASSES, width))
    directions = np.random.default_rng(2).normal(size=(3, width))
    labels = np.repeat(np.arange(CLASSES), n)
    spread = rng.normal(size=(len(labels), 3)) @ directions
    rows = centres[labels] + 0.3 * spread + 0.05 * rng.normal(size=(len(labels), width))
    return rows.astype(np.float32), labels


def test_it_tells_strange_features_from_new_ones_of_the_same_kind() -> None:
    train, labels = drawn(10)
    known = fit_familiarity(train, labels, drawn(11)[0])
    assert known is not None
    new = drawn(12)[0]
    assert known.unlike(drawn(11)[0]).mean() <= 0.015  # the images that set the threshold
    assert known.unlike(new).mean() < 0.05
    rng = np.random.default_rng(3)
    strange = {
        "elsewhere": new + rng.normal(size=new.shape),  # off the directions in which classes vary
        "too long": 3 * new,
        "too short": 0.05 * new,
        "nothing": np.zeros_like(new),
        "no numbers": np.full_like(new, np.nan),
    }
    for name, rows in strange.items():
        assert known.unlike(rows).mean() > 0.95, name
    # Far along a direction in which the classes vary is nearer than as far along any other.
    along = train[:1] + 2 * (train[1] - train[0])[None]
    other = rng.normal(size=(1, WIDTH))
    other *= np.linalg.norm(along - train[:1]) / np.linalg.norm(other)
    assert known.distance(along)[0] < known.distance(train[:1] + other)[0]


def test_a_graph_gives_the_same_and_arrays_bring_it_back() -> None:
    train, labels = drawn(10)
    known = fit_familiarity(train, labels, drawn(11)[0])
    assert known is not None
    again = by_prefix({f"student_{k}": v for k, v in known.arrays().items()}, "student_")
    assert again is not None
    rows = np.concatenate([drawn(12)[0], np.random.default_rng(0).normal(size=(20, WIDTH))])
    expected = known.distance(rows)
    np.testing.assert_array_equal(again.distance(rows), expected)
    score = UnlikeScore(known)(torch.from_numpy(rows).float()).numpy()
    np.testing.assert_allclose(score, expected, rtol=1e-3)
    assert score.dtype == np.float32
    del again
    assert by_prefix({}, "student_") is None
    cut = {f"student_{k}": v for k, v in known.arrays().items()}
    assert by_prefix({**cut, "student_rest": np.ones(3)}, "student_") is None
    assert by_prefix({**cut, "student_directions": np.ones((2, 3, 4))}, "student_") is None


@pytest.mark.parametrize("shots", [1, 2])
def test_with_fewer_images_than_features(shots: int) -> None:
    train, labels = drawn(10, shots, width=200)
    known = fit_familiarity(train, labels, drawn(11, 20, width=200)[0])
    assert known is not None
    assert known.unlike(drawn(12, 20, width=200)[0]).mean() < 0.1
    assert known.unlike(-drawn(12, 20, width=200)[0]).all()


def test_images_without_a_label_do_not_count_and_too_little_gives_none() -> None:
    train, labels = drawn(10)
    val = drawn(11)[0]
    strange = np.full((50, WIDTH), 100.0, np.float32)
    with_others = fit_familiarity(
        np.concatenate([train, strange]), np.concatenate([labels, np.full(50, -1)]), val
    )
    alone = fit_familiarity(train, labels, val)
    assert with_others is not None and alone is not None
    np.testing.assert_array_equal(with_others.means, alone.means)
    assert fit_familiarity(train, labels, val[:0]) is None
    assert fit_familiarity(train, np.full(len(train), -1), val) is None
    assert fit_familiarity(np.ones_like(train), labels, val) is None
    assert fit_familiarity(train * np.nan, labels, val) is None
