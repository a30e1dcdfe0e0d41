"""Which arms are worth training, before any is trained: what the map of regimes says about data.

A regime is placed among those of the map by what is cheap to measure of it, and its nearest
neighbours tell what each arm gained there. Our own method; ``score`` says how often it is right.
Imports nothing heavy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dait.evaluation.regimes import REFERENCE, Measured, RegimeSummary

NEIGHBOURS = 4
"""Regimes of the map that are asked."""

CLOSE = 0.01
"""Arms whose expected gain is within so much (a fraction) of the best are recommended too."""

NEAR, FAR = 0.15, 0.4
"""Distances (``distance``) up to which advice is called sure, and beyond which it is a guess."""

SIMPLE: tuple[str, ...] = ("independent", "direct", "dho", "vl2lite", "kd", "takd", "dait")
"""Arms in the order of what they cost: of equals, the first is recommended first."""


@dataclass(frozen=True)
class Advice:
    """What to train. recommended: arms, the best first. expected: the range of the test top-1 of
    every arm of the map, as fractions. why: two sentences. distance: to the nearest regime of the
    map. seconds: of one seed of the recommended arms on this machine; None where not estimated."""

    recommended: tuple[str, ...]
    expected: dict[str, tuple[float, float]]
    why: str
    distance: float
    measured: Measured
    seconds: float | None = None


def distance(one: Measured, other: Measured) -> float:
    """How much two regimes differ: the largest difference of the accuracies of the frozen teacher
    and of the start weights, and of the numbers of images in powers of 16."""
    return max(
        abs(one.zero_shot - other.zero_shot),
        abs(one.probe - other.probe),
        abs(one.start_probe - other.start_probe),
        abs(_power(one.labelled) - _power(other.labelled)),
        abs(_power(_per_label(one)) - _power(_per_label(other))),
    )


def advise(measured: Measured, regimes: Sequence[RegimeSummary]) -> Advice:
    """The arms worth training in a regime. Raises ``ValueError`` for a map without regimes."""
    if not regimes:
        raise ValueError("advice needs a map of at least one regime")
    near = sorted(regimes, key=lambda regime: distance(measured, regime.measured))[:NEIGHBOURS]
    far = [distance(measured, regime.measured) for regime in near]
    weights = [1 / (0.05 + d) for d in far]
    # An arm that was not trained in one of them is estimated from the others.
    arms = [arm for arm in SIMPLE if any(arm in regime.gains for regime in near)]
    gains = {arm: _gain(arm, near, weights) for arm in arms}
    best = max(gains.values())
    close = [arm for arm in arms if gains[arm] >= best - CLOSE]
    first = max(close, key=lambda arm: (gains[arm] >= best - CLOSE / 2, -SIMPLE.index(arm)))
    recommended = (first, *(arm for arm in close if arm != first))
    start = [regime.top1[REFERENCE] - regime.measured.start_probe for regime in near]
    alone = measured.start_probe + _mean(start, weights)
    spread = max(start) - min(start) + far[0]
    expected = {arm: _range(arm, alone, spread, near) for arm in arms}
    why = _why(measured, near, recommended, gains, far[0])
    return Advice(recommended, expected, why, far[0], measured)


def score(
    held_out: Sequence[RegimeSummary], regimes: Sequence[RegimeSummary], within: float = 0.02
) -> tuple[int, int]:
    """In how many of ``held_out`` the first arm of the advice gains within ``within`` (a fraction)
    of what the best arm gains, and of how many; those where it was not trained are left out."""
    asked = [(regime, advise(regime.measured, regimes).recommended[0]) for regime in held_out]
    found = [
        regime.gain(first) >= regime.gain(regime.best) - within
        for regime, first in asked
        if first in regime.gains
    ]
    return sum(found), len(found)


def _range(
    arm: str, alone: float, spread: float, near: Sequence[RegimeSummary]
) -> tuple[float, float]:
    """From the worst to the best seed of the neighbours, wider where these lie far away."""
    gains = [gain for regime in near for gain in regime.gains.get(arm, ())]
    low, high = alone + min(gains) - spread / 2, alone + max(gains) + spread / 2
    return max(0.0, min(1.0, low)), max(0.0, min(1.0, high))


def _why(
    measured: Measured,
    near: Sequence[RegimeSummary],
    recommended: Sequence[str],
    gains: dict[str, float],
    far: float,
) -> str:
    """Two sentences."""
    best = recommended[0]
    said = "that is close" if far <= NEAR else "that is not very close, so take it as a hint"
    if far > FAR:
        said = "that is far away, so this is a guess"
    few = "" if measured.unlabelled else "no "
    first = (
        f"Without training, the frozen teacher names {measured.zero_shot:.0%} of the validation "
        f"images and a linear probe of it {measured.probe:.0%}, the student's start weights "
        f"{measured.start_probe:.0%}, with {measured.labelled:.0f} labelled and "
        f"{few or f'{measured.unlabelled:.0f} '}unlabelled images a class."
    )
    gained = "" if best == REFERENCE else f", {100 * gains[best]:+.1f} points over labels alone"
    second = (
        f"In the {len(near)} nearest measured regimes {' and '.join(recommended[:3])} did best"
        f"{gained}; the nearest has a teacher of {near[0].measured.zero_shot:.0%} zero-shot and "
        f"{near[0].measured.probe:.0%} by a probe, and {said}."
    )
    return f"{first} {second}"


def _gain(arm: str, near: Sequence[RegimeSummary], weights: Sequence[float]) -> float:
    known = [(r.gain(arm), w) for r, w in zip(near, weights, strict=True) if arm in r.gains]
    return _mean([gain for gain, _ in known], [weight for _, weight in known])


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def _power(count: float) -> float:
    return math.log(1 + count, 16)


def _per_label(measured: Measured) -> float:
    return measured.unlabelled / max(measured.labelled, 1)
