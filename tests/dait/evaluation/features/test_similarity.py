"""Embedding figures against geometry that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from dait.errors import UserError
from dait.evaluation.features.projection import silhouette, tsne
from dait.evaluation.features.similarity import (
    class_similarity,
    intra_inter,
    knn_accuracy,
    linear_cka,
    sample_similarity,
    stratified_sample,
)


def clusters(classes: int = 4, each: int = 10, d: int = 8, spread: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = np.eye(d)[:classes]
    return np.repeat(centres, each, axis=0) + rng.normal(0, spread, (classes * each, d))


LABELS = np.repeat(np.arange(4), 10)


def test_classes_in_any_order_have_the_same_similarities() -> None:
    rows, order = clusters(), np.random.default_rng(1).permutation(40)
    labels = np.where(LABELS < 2, LABELS, LABELS + 1)  # a class without images
    expected = class_similarity(rows, labels, 5)
    means = [row / np.linalg.norm(row, axis=1, keepdims=True) for row in np.split(rows, 4)]
    centres = np.stack([row.mean(axis=0) for row in means])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    present = np.ix_([0, 1, 3, 4], [0, 1, 3, 4])
    np.testing.assert_allclose(expected[present], centres @ centres.T, atol=1e-6)
    assert np.isnan(expected[2]).all() and np.isnan(expected[:, 2]).all()
    np.testing.assert_allclose(class_similarity(rows[order], labels[order], 5), expected, atol=1e-6)
    np.testing.assert_allclose(intra_inter(rows[order], labels[order]), intra_inter(rows, LABELS))


def test_tsne_keeps_clusters_together_and_repeats() -> None:
    features = {"independent": clusters(), "dait": clusters(spread=0.02) * 7}
    maps = tsne(features, perplexity=5)
    assert list(maps) == ["independent", "dait"]
    for placed in maps.values():
        assert placed.shape == (40, 2) and placed.dtype == np.float32
        near = np.linalg.norm(placed[:, None] - placed[None], axis=2)
        np.fill_diagonal(near, np.inf)
        assert (LABELS[near.argmin(axis=1)] == LABELS).all()
    again = tsne(features, perplexity=5)
    assert all(np.array_equal(maps[arm], again[arm]) for arm in maps)


def test_tsne_turns_maps_without_changing_distances() -> None:
    both = tsne({"a": clusters(), "b": clusters(spread=0.1)}, perplexity=5)
    alone = tsne({"b": clusters(spread=0.1)}, perplexity=5)["b"]
    np.testing.assert_allclose(pdist(both["b"]), pdist(alone), rtol=1e-3)
    turned = np.linalg.norm(both["b"] - both["a"])
    assert turned <= np.linalg.norm(alone - both["a"]) + 1e-3


def test_the_same_features_give_the_same_map() -> None:
    maps = tsne({"a": clusters(), "b": clusters()}, perplexity=5)
    np.testing.assert_allclose(maps["a"], maps["b"], atol=1e-3)


@pytest.mark.parametrize(("n", "d"), [(5, 3), (6, 1), (12, 64)])
def test_tsne_of_few_images_or_dimensions(n: int, d: int) -> None:
    features = np.random.default_rng(0).normal(size=(n, d))
    placed = tsne({"a": features}, perplexity=30)["a"]
    assert placed.shape == (n, 2) and np.isfinite(placed).all()


def test_collapsed_features_lie_on_one_point() -> None:
    placed = tsne({"a": np.ones((20, 6))})["a"]
    assert np.array_equal(placed, np.zeros((20, 2)))


def test_tsne_of_too_few_images_is_said() -> None:
    with pytest.raises(UserError, match="at least 5 images and there are 4"):
        tsne({"a": np.eye(4)})
    with pytest.raises(ValueError, match="same images"):
        tsne({"a": np.eye(6), "b": np.eye(7)})
    assert tsne({}) == {}


def test_class_similarity_is_the_cosine_of_class_means() -> None:
    features = np.array([[2.0, 0.0], [0.0, 3.0], [5.0, 5.0]])
    labels = np.array([0, 1, 3])
    found = class_similarity(features, labels, 4)
    assert found.shape == (4, 4)
    assert found[0, 1] == pytest.approx(0.0)
    assert found[0, 3] == pytest.approx(math.sqrt(0.5), rel=1e-5)
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()


def test_sample_similarity_ignores_length() -> None:
    found = sample_similarity(np.array([[1.0, 0.0], [9.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_intra_inter_equals_the_mean_over_all_pairs() -> None:
    features = clusters(spread=0.4)
    similarity = sample_similarity(features).astype(np.float64)
    same = LABELS[:, None] == LABELS[None]
    apart = ~np.eye(len(LABELS), dtype=bool)
    found = intra_inter(features, LABELS)
    assert found.intra == pytest.approx(similarity[same & apart].mean(), abs=1e-6)
    assert found.inter == pytest.approx(similarity[~same].mean(), abs=1e-6)
    assert found.gap == pytest.approx(found.intra - found.inter)


def test_intra_inter_without_pairs_is_nan() -> None:
    found = intra_inter(np.eye(3), np.arange(3))
    assert math.isnan(found.intra) and found.inter == pytest.approx(0.0)
    assert math.isnan(intra_inter(np.eye(3), np.zeros(3, dtype=int)).inter)


def test_silhouette_tells_tight_from_loose_clusters() -> None:
    tight, loose = silhouette(clusters(), LABELS), silhouette(clusters(spread=1.0), LABELS)
    assert tight > 0.8 > loose
    assert math.isnan(silhouette(clusters(), np.zeros(40, dtype=int)))
    assert math.isnan(silhouette(clusters(), np.arange(40)))


def test_knn_leaves_the_image_itself_out() -> None:
    assert knn_accuracy(clusters(), LABELS) == 1.0
    # Each class has one image, so every neighbour is wrong unless an image may vote for itself.
    assert knn_accuracy(np.eye(6), np.arange(6)) == 0.0


def test_knn_votes_come_from_the_training_features() -> None:
    train = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    queries = np.array([[1.0, 0.05], [0.1, 1.0]])
    found = knn_accuracy(queries, np.array([0, 1]), train, np.array([0, 0, 1]), k=1)
    assert found == 1.0
    assert knn_accuracy(queries, np.array([0, 1]), train, np.array([0, 0, 1]), k=3) == 0.5


def test_a_tie_of_votes_goes_to_the_nearer_class() -> None:
    train = np.array([[0.2, 1.0], [1.0, 0.1]])
    found = knn_accuracy(np.array([[1.0, 0.0]]), np.array([1]), train, np.array([0, 1]), k=2)
    assert found == 1.0


def test_knn_needs_neighbours_and_labels() -> None:
    with pytest.raises(ValueError, match="no neighbour"):
        knn_accuracy(np.ones((1, 2)), np.array([0]))
    with pytest.raises(ValueError, match="come together"):
        knn_accuracy(np.eye(3), np.arange(3), np.eye(3))


def test_cka_is_blind_to_rotation_and_scale_only() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 6))
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert linear_cka(features, features @ turn * 3 + 5) == pytest.approx(1.0)
    assert linear_cka(features, rng.normal(size=(300, 6))) < 0.1
    assert math.isnan(linear_cka(features, np.ones((300, 2))))
    with pytest.raises(ValueError, match="different images"):
        linear_cka(features, features[:-1])


def test_both_ways_to_cka_agree() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 10)), rng.normal(size=(20, 12))
    wide = np.pad(y, ((0, 0), (0, 30)))  # zero columns change nothing but the way it is computed
    assert linear_cka(x, wide) == pytest.approx(linear_cka(x, y))


def test_a_stratified_sample_keeps_the_shares() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    chosen = stratified_sample(labels, 20, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [12, 6, 2]
    assert len(set(chosen)) == 20 and (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, stratified_sample(labels, 20, seed=0))
    assert not np.array_equal(chosen, stratified_sample(labels, 20, seed=1))


@pytest.mark.parametrize("n", [1, 5, 7, 99])
def test_a_stratified_sample_has_the_asked_size(n: int) -> None:
    labels = np.repeat(np.arange(10), 10)
    assert len(stratified_sample(labels, n)) == n


def test_a_sample_of_more_than_there_is_is_everything() -> None:
    assert stratified_sample(np.array([3, 1, 2]), 10).tolist() == [0, 1, 2]
