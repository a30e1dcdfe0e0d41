"""Figures of merit against scikit-learn and values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, recall_score

from dait.errors import UserError
from dait.evaluation.metrics import (
    accuracy_by_slice,
    bootstrap_interval,
    class_accuracy,
    class_counts,
    class_gains,
    evaluate_logits,
    expected_calibration_error,
    holm,
    macro_f1,
    mcnemar,
    mean_per_class,
    reliability,
    top_k_correct,
)

CLASSES = 5
RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, CLASSES - 1, 60)  # no image of the last class
PREDICTED = np.where(RNG.random(60) < 0.5, LABELS, RNG.integers(0, CLASSES, 60))


def logits_of(predicted: list[int], classes: int) -> np.ndarray:
    return np.eye(classes)[predicted] * 4.0


def test_top_k() -> None:
    logits = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    labels = np.array([0, 1, 2])
    assert top_k_correct(logits, labels, 1).tolist() == [True, False, False]
    assert top_k_correct(logits, labels, 2).tolist() == [True, True, False]
    assert top_k_correct(logits, labels, 5).all()


def test_mean_per_class_weighs_classes_alike() -> None:
    labels = np.array([0, 0, 0, 1])
    predicted = np.array([0, 0, 0, 0])
    assert mean_per_class(predicted, labels) == pytest.approx(0.5)


def test_classes_absent_from_the_labels_do_not_count() -> None:
    labels = np.array([0, 0, 1, 1])
    predicted = np.array([0, 2, 1, 1])
    assert mean_per_class(predicted, labels) == pytest.approx(0.75)
    assert macro_f1(predicted, labels) == pytest.approx((2 / 3 + 1) / 2)


def test_ece_of_a_single_bin() -> None:
    # Two classes with probabilities 0.8 and 0.2, three of four right: |0.75 - 0.8|.
    logits = np.tile([math.log(0.8), math.log(0.2)], (4, 1))
    labels = np.array([0, 0, 0, 1])
    assert expected_calibration_error(logits, labels) == pytest.approx(0.05)


def test_ece_adds_bins_by_their_share() -> None:
    high = np.tile([math.log(0.9), math.log(0.1)], (1, 1))
    low = np.tile([math.log(0.6), math.log(0.4)], (3, 1))
    labels = np.array([0, 1, 1, 1])
    expected = 1 / 4 * 0.1 + 3 / 4 * 0.6
    assert expected_calibration_error(np.vstack([high, low]), labels) == pytest.approx(expected)


def test_certain_and_right_is_perfectly_calibrated() -> None:
    logits = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    assert expected_calibration_error(logits, np.array([0, 1])) == 0.0


def test_bootstrap_is_the_binomial_interval() -> None:
    correct = np.arange(400) < 200
    low, high = bootstrap_interval(correct)
    half_width = 1.96 * math.sqrt(0.25 / 400)
    assert low == pytest.approx(0.5 - half_width, abs=0.01)
    assert high == pytest.approx(0.5 + half_width, abs=0.01)
    assert bootstrap_interval(correct) == (low, high)


def test_bootstrap_of_a_perfect_answer_has_no_width() -> None:
    assert bootstrap_interval(np.ones(10, dtype=bool)) == (1.0, 1.0)


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_mcnemar_by_hand() -> None:
    a = np.array([1, 1, 1, 1, 1, 1, 0, 1, 0], dtype=bool)
    b = np.array([0, 0, 0, 0, 0, 0, 1, 1, 0], dtype=bool)
    result = mcnemar(a, b)
    # Six against one: 2 · (C(7,0) + C(7,1)) / 2^7.
    assert result[:2] == (6, 1)
    assert result.p == pytest.approx(2 * 8 / 128)
    assert mcnemar(b, a).p == pytest.approx(result.p)
    assert mcnemar(a, a).p == 1.0


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (3, 3), (4, 17), (260, 190)])
def test_mcnemar_is_the_binomial_test_of_scipy(only_a: int, only_b: int) -> None:
    from scipy.stats import binomtest

    a = np.repeat([True, False, True, False], [only_a, only_b, 5, 5])
    b = np.repeat([False, True, True, False], [only_a, only_b, 5, 5])
    differing = only_a + only_b
    wanted = binomtest(only_a, differing).pvalue if differing else 1.0
    assert mcnemar(a, b) == (only_a, only_b, pytest.approx(wanted, rel=1e-9))


def test_recall_and_f1_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.choice([0, 2, 3], 40), rng.integers(0, 6, 40)
    present = np.unique(labels)
    recall = recall_score(labels, predicted, labels=present, average="macro")
    f1 = f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    assert mean_per_class(predicted, labels) == pytest.approx(recall)
    assert macro_f1(predicted, labels) == pytest.approx(f1)


def test_mcnemar_needs_the_same_images() -> None:
    with pytest.raises(ValueError, match="different images"):
        mcnemar(np.ones(3, dtype=bool), np.ones(4, dtype=bool))


def test_accuracy_by_slice() -> None:
    correct = np.array([True, False, True, True])
    table = accuracy_by_slice(correct, {"habitat": np.array(["reed", "reed", "sky", "sky"])})
    assert table == {"habitat": {"reed": 0.5, "sky": 1.0}}
    with pytest.raises(ValueError, match="3 values for 4 images"):
        accuracy_by_slice(correct, {"habitat": np.array(["a", "b", "c"])})


def test_evaluate_logits_gives_plain_numbers() -> None:
    logits = logits_of([0, 1, 2, 0], 3)
    labels = np.array([0, 1, 2, 2])
    result = evaluate_logits(logits, labels, {"habitat": np.array(["a", "a", "b", "b"])})
    assert result["top1"] == 0.75
    assert result["top5"] == 1.0
    assert result["mean_per_class"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert result["n_test"] == 4
    assert result["slices"] == {"habitat": {"a": 1.0, "b": 0.5}}
    low, high = result["top1_interval"]
    assert low <= 0.75 <= high
    assert all(type(value) in (float, int, list, dict) for value in result.values())


def test_half_precision_logits_are_evaluated_in_full() -> None:
    logits = logits_of([0, 1], 2).astype(np.float16)
    assert evaluate_logits(logits, np.array([0, 1]))["top1"] == 1.0


def test_nothing_to_evaluate_is_said() -> None:
    with pytest.raises(UserError, match="no image to evaluate"):
        evaluate_logits(np.zeros((0, 3)), np.zeros(0, dtype=int))


def test_a_diverged_network_is_said() -> None:
    logits = np.array([[0.0, np.nan], [1.0, 0.0]])
    with pytest.raises(UserError, match="not finite for 1 of 2 images"):
        evaluate_logits(logits, np.array([0, 0]))


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0, 1, 2]])
def test_labels_must_fit(labels: list[int]) -> None:
    with pytest.raises(ValueError):
        evaluate_logits(np.zeros((2, 3)), np.array(labels))


def test_bins_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(500, 4)) * 2, rng.integers(0, 4, 500)
    found = reliability(logits, labels)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right, sure = calibration_curve(
        logits.argmax(axis=1) == labels, shares.max(axis=1), n_bins=15, strategy="uniform"
    )
    filled = found.count > 0
    np.testing.assert_allclose(found.accuracy[filled], right)
    np.testing.assert_allclose(found.confidence[filled], sure)
    assert np.isnan(found.accuracy[~filled]).all() and not filled[:3].any()
    assert found.count.sum() == 500
    gaps = np.abs(right - sure) * found.count[filled]
    assert found.error == pytest.approx(gaps.sum() / 500)
    assert found.error == expected_calibration_error(logits, labels)


def test_certainty_falls_into_the_last_bin() -> None:
    found = reliability(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 0]))
    assert found.count.tolist() == [0] * 14 + [2]
    assert (found.confidence[-1], found.accuracy[-1], found.error) == (1.0, 0.5, 0.5)


def test_class_accuracy_is_scikit_learns_recall() -> None:
    found = class_accuracy(PREDICTED == LABELS, LABELS, CLASSES)
    expected = recall_score(LABELS, PREDICTED, labels=range(4), average=None)
    np.testing.assert_allclose(found[:4], expected)
    assert np.isnan(found[4])
    assert class_counts(LABELS, CLASSES).tolist() == [*np.bincount(LABELS).tolist(), 0]


def test_gains_pair_seeds() -> None:
    labels = np.array([0, 0, 1, 1])
    ours = [np.array([1, 1, 0, 1], bool), np.array([1, 1, 1, 1], bool)]
    theirs = [np.array([1, 0, 1, 1], bool), np.array([0, 0, 0, 0], bool)]
    found = class_gains(ours, theirs, labels, 3)
    # Class 0: 1 − 1/2 and 1 − 0; class 1: 1/2 − 1 and 1 − 0; class 2 has no image.
    np.testing.assert_allclose(found.gain, [0.75, 0.25, np.nan])
    np.testing.assert_allclose(
        found.sd, [np.std([0.5, 1], ddof=1), np.std([-0.5, 1], ddof=1), np.nan]
    )
    np.testing.assert_allclose(found.ours, [1.0, 0.75, np.nan])
    np.testing.assert_allclose(found.theirs, [0.25, 0.5, np.nan])
    assert found.count.tolist() == [2, 2, 0] and found.seeds == 2
    one = class_gains(ours[:1], theirs[:1], labels, 2)
    assert one.gain.tolist() == [0.5, -0.5] and np.isnan(one.sd).all()
    with pytest.raises(ValueError, match="2 and 1 seeds"):
        class_gains(ours, theirs[:1], labels, 3)
