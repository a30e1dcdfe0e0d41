"""Figures per image, summarised as means and differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from dait.config.arms import TEACHER_TITLES
from dait.evaluation.records import INTERMEDIATE, VLM
from dait.evaluation.results.localisation import (
    FIGURES,
    ArmDifference,
    ArmLocalisation,
    MeanInterval,
    NetworkLocalisation,
)
from dait.evidence.localisation.intervals import mean_interval, over_seeds

Arrays = Mapping[str, np.ndarray]


def estimates(arrays: Arrays) -> dict[str, MeanInterval]:
    """The mean of each of ``FIGURES`` that at least one image has."""
    found = {name: mean_interval(arrays[name]) for name in FIGURES if name in arrays}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def arms(
    networks: Sequence[NetworkLocalisation], arrays: Mapping[str, Arrays]
) -> tuple[ArmLocalisation, ...]:
    """The networks of each role together; ``arrays`` goes by the network's key."""
    rows = []
    for role, own in _by_role(networks).items():
        merged = _merged([arrays[network.key] for network in own])
        rows.append(
            ArmLocalisation(
                role=role,
                title=own[0].title,
                method=own[0].method,
                seeds=tuple(network.seed for network in own if network.seed is not None),
                estimates=estimates(merged),
                by_seed={
                    name: tuple(_value(network.estimates.get(name)) for network in own)
                    for name in merged
                },
                empty=sum(network.empty for network in own),
            )
        )
    return tuple(rows)


def differences(
    networks: Sequence[NetworkLocalisation], arrays: Mapping[str, Arrays]
) -> tuple[ArmDifference, ...]:
    """Every two arms of students on the same images, over the seeds that both have."""
    teachers = (VLM, INTERMEDIATE, *TEACHER_TITLES)
    students = {r: own for r, own in _by_role(networks).items() if r not in teachers}
    found = []
    for second, first in combinations(students, 2):
        by_seed = [{network.seed: network.key for network in students[r]} for r in (first, second)]
        seeds = sorted(seed for seed in by_seed[0] if seed is not None and seed in by_seed[1])
        if seeds:
            one, other = (_merged([arrays[keys[seed]] for seed in seeds]) for keys in by_seed)
            paired = {name: one[name] - other[name] for name in one if name in other}
            found.append(
                ArmDifference(
                    first=first, second=second, seeds=tuple(seeds), estimates=estimates(paired)
                )
            )
    return tuple(found)


def _merged(runs: Sequence[Arrays]) -> dict[str, np.ndarray]:
    names = [name for name in FIGURES if all(name in run for run in runs)]
    return {name: over_seeds([run[name] for run in runs]) for name in names}


def _by_role(networks: Sequence[NetworkLocalisation]) -> dict[str, list[NetworkLocalisation]]:
    found: dict[str, list[NetworkLocalisation]] = {}
    for network in networks:
        found.setdefault(network.role, []).append(network)
    return found


def _value(estimate: MeanInterval | None) -> float | None:
    return None if estimate is None else estimate.value
