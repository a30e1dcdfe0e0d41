"""Linear probes: they find what is there, nothing else, and choose nothing on the test images."""

from __future__ import annotations

import numpy as np
import pytest

from dait.data.fieldguide import FieldGuide
from dait.evidence.probes.probes import (
    COSTS,
    Features,
    linear_probe,
    read_new_birds,
    read_train,
    targets_of,
)

WORDS = np.array(["marsh", "shore", "snow"])
Part = tuple[np.ndarray, np.ndarray]


def blobs(count: int, seed: int, spread: float = 0.3) -> Part:
    """Three clusters in the first two of ten dimensions."""
    rng = np.random.default_rng(seed)
    values = rng.integers(3, size=count)
    features = rng.normal(0, spread, (count, 10))
    features[:, :2] += np.array([[0.0, 3.0], [3.0, 0.0], [-3.0, -3.0]])[values]
    return features, WORDS[values]


def test_what_is_there_is_read() -> None:
    correct, cost = linear_probe(blobs(60, 0), blobs(30, 1), blobs(50, 2))
    assert correct.all() and correct.shape == (50,) and cost in COSTS


def test_what_is_not_there_is_not_read() -> None:
    rng = np.random.default_rng(3)
    noise = [(rng.normal(size=(n, 10)), WORDS[rng.integers(3, size=n)]) for n in (90, 60, 300)]
    correct, _ = linear_probe(*noise)
    assert 0.2 < correct.mean() < 0.47


def test_the_scale_of_a_feature_does_not_matter() -> None:
    parts = [blobs(60, 0, 2.0), blobs(30, 1, 2.0), blobs(50, 2, 2.0)]
    scales = 10.0 ** np.arange(-5, 5)
    scaled = [(features * scales + 7 * scales, values) for features, values in parts]
    assert np.array_equal(linear_probe(*parts)[0], linear_probe(*scaled)[0])


@pytest.mark.slow
def test_regularisation_is_chosen_on_validation_alone() -> None:
    fit, test = blobs(60, 0, 3.0), blobs(40, 2, 3.0)
    wrong = (test[0], np.roll(test[1], 1))
    chosen = {linear_probe(fit, blobs(40, seed, 3.0), test)[1] for seed in range(5, 11)}
    assert len(chosen) > 1
    for seed in range(5, 11):
        choose = blobs(40, seed, 3.0)
        assert linear_probe(fit, choose, test)[1] == linear_probe(fit, choose, wrong)[1]


def features(part: Part, **more: np.ndarray) -> Features:
    return Features(part[0], {"habitat": part[1], **more})


def test_readings_say_what_they_were_fitted_to_and_what_guessing_scores() -> None:
    train, val, test = (features(blobs(n, seed)) for seed, n in ((0, 60), (1, 30), (2, 50)))
    (reading,) = read_train(train, val, test)
    assert (reading.target, reading.fitted_to, reading.values) == ("habitat", "train", 3)
    assert reading.accuracy.value == 1.0 and reading.accuracy.count == 50
    words, counts = np.unique(train.targets["habitat"], return_counts=True)
    usual = words[counts.argmax()]
    assert reading.majority == pytest.approx((test.targets["habitat"] == usual).mean())


def test_a_shortcut_that_fails_at_test_is_no_knowledge() -> None:
    """Features that know only the species cannot read habitats that follow it in training."""
    rng = np.random.default_rng(0)
    species = rng.integers(3, size=400)
    only_species = np.eye(3)[species] + rng.normal(0, 0.1, (400, 3))
    followed = WORDS[np.where(rng.random(400) < 0.7, species, rng.integers(3, size=400))]
    even = WORDS[rng.integers(3, size=400)]
    fit = (only_species[:150], followed[:150])
    correct, _ = linear_probe(
        fit, (only_species[150:200], even[150:200]), (only_species[200:], even[200:])
    )
    assert correct.mean() < 0.45


def test_a_target_with_one_value_is_left_out() -> None:
    part = blobs(40, 0)
    flat = np.array(["perched"] * 40)
    readings = read_train(*[features(part, pose=flat)] * 3)
    assert [reading.target for reading in readings] == ["habitat"]


def test_new_birds_fit_and_choose_for_themselves() -> None:
    (reading,) = read_new_birds(features(blobs(80, 0)), features(blobs(50, 2)))
    assert (reading.fitted_to, reading.accuracy.value) == ("new birds", 1.0)


def test_targets_are_classes_and_what_does_not_matter(birds: FieldGuide) -> None:
    split = birds.split("test")
    found = targets_of(split, birds)
    assert list(found) == ["class", "habitat", "pose", "light"]
    assert found["class"][4] == birds.classes[split.labels[4]].key
    assert list(targets_of(split)) == ["habitat", "pose", "light"]
