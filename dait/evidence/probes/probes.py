"""Linear probes: what a linear readout finds in frozen features (Alain & Bengio 2016).

A probe is a multinomial logistic regression on standardised features. It says what is *there*, not
what the network uses. Two things to know when reading its figures:

- The training split is where habitats follow the species (``habitat_bias``), and a student has
  learned these very images, so a probe fitted to it may read the habitat off the species. At test
  the habitats are drawn evenly, so that shortcut earns nothing there, but it costs accuracy.
- A probe fitted to new birds (``new_birds``) is free of both: every attribute and the habitat is
  independent there, and no network has seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dait.data.base import Dataset, Split
from dait.evaluation.results.probes import NEW_BIRDS, TRAIN, Reading
from dait.evidence.probes.words import share

COSTS: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Inverse regularisation strengths that validation chooses from; on standardised features."""

CLASS = "class"
TARGETS = ("habitat", "pose", "light")
"""Slices of a split that are read besides its classes: what does not matter for the task."""

_ITERATIONS = 1000
_HELD_OUT = 4
"""Of new birds, every so many-th chooses the regularisation instead of fitting."""


@dataclass(frozen=True)
class Features:
    """One network's features of one set of images: ``(N, p)``, and ``(N,)`` values by target."""

    values: np.ndarray
    targets: Mapping[str, np.ndarray]


def targets_of(split: Split, data: Dataset | None = None) -> dict[str, np.ndarray]:
    """``(N,)`` values by target: the slices of ``TARGETS`` that a split has; with ``data``, its
    classes' keys too."""
    found = {name: np.asarray(split.slices[name]) for name in TARGETS if name in split.slices}
    if data is None:
        return found
    keys = np.array([info.key for info in data.classes])
    return {CLASS: keys[np.asarray(split.labels)], **found}


def read_train(train: Features, val: Features, test: Features) -> list[Reading]:
    """Probes fitted to the training split, with C chosen on validation: one a target."""
    return _read(TRAIN, train, val, test)


def read_new_birds(new: Features, test: Features) -> list[Reading]:
    """The same fitted to new birds, every fourth of which chooses C: one a target of theirs."""
    held = np.arange(len(new.values)) % _HELD_OUT == _HELD_OUT - 1
    return _read(NEW_BIRDS, _part(new, ~held), _part(new, held), test)


def linear_probe(
    fit: tuple[np.ndarray, np.ndarray],
    choose: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, float]:
    """Each argument is ``(n, p)`` features and ``(n,)`` values; the last one's are measured.

    Returns ``(n,)`` bool, which test values are read right, and the C of ``COSTS`` that reads most
    of ``choose`` right (the smallest of equals). Features are standardised by those of ``fit``.
    """
    scaler = StandardScaler().fit(fit[0])
    fitting, choosing, testing = (scaler.transform(part[0]) for part in (fit, choose, test))
    best, kept, cost = -1.0, np.zeros(len(test[1]), bool), COSTS[0]
    probe = LogisticRegression(max_iter=_ITERATIONS, tol=1e-3, warm_start=True)
    for candidate in COSTS:  # from strong to weak: each begins where the one before it ended
        probe.set_params(C=candidate).fit(fitting, fit[1])
        right = float((probe.predict(choosing) == choose[1]).mean())
        if right > best:
            best, cost = right, candidate
            kept = probe.predict(testing) == test[1]
    return kept, cost


def _read(name: str, fit: Features, choose: Features, test: Features) -> list[Reading]:
    readings = []
    for target, wanted in fit.targets.items():
        known, counts = np.unique(wanted, return_counts=True)
        if len(known) < 2:
            continue  # nothing to tell apart
        correct, cost = linear_probe(
            (fit.values, wanted),
            (choose.values, choose.targets[target]),
            (test.values, test.targets[target]),
        )
        usual = known[counts.argmax()]
        readings.append(
            Reading(
                target=target,
                fitted_to=name,
                values=len(known),
                accuracy=share(correct),
                majority=float((test.targets[target] == usual).mean()),
                cost=cost,
            )
        )
    return readings


def _part(features: Features, chosen: np.ndarray) -> Features:
    targets = {name: values[chosen] for name, values in features.targets.items()}
    return Features(features.values[chosen], targets)
