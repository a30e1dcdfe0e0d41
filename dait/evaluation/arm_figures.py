"""Several runs together: means over seeds, paired tests between arms, gains class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from dait.errors import UserError
from dait.evaluation.metrics import ClassGains, class_gains, mcnemar
from dait.evaluation.predictions import RunPredictions
from dait.evaluation.records import ARM_ORDER
from dait.evaluation.run_figures import FIGURES, Evaluated, class_as_json

DIRECT = "direct"


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one arm under one recipe, by seed.

    name: the arm, or ``STUDY/arm`` where runs of several recipes have this arm.
    """

    name: str
    arm: str
    runs: Mapping[int, Evaluated]

    @property
    def answering(self) -> dict[int, Evaluated]:
        """The seeds of which single images are known."""
        return {seed: run for seed, run in self.runs.items() if run.answers is not None}


def by_arm(runs: Sequence[Evaluated]) -> list[ArmRuns]:
    """The runs, arm by arm, in the order of ``ARM_ORDER``, then as given; seeds ascend.

    Seeds of one recipe belong together wherever their folders lie, unless one of them comes twice:
    then those of one folder do. Raises ``UserError`` where the runs were measured on different
    images or know different classes, and where a folder holds the same run twice.
    """
    _check_comparable(runs)
    same: dict[tuple[str, str], list[Evaluated]] = {}
    for run in runs:
        same.setdefault((run.arm, _recipe(run)), []).append(run)
    parts = [part for alike in same.values() for part in _each_seed_once(alike)]
    arms = [part[0].arm for part in parts]
    groups: list[ArmRuns] = []
    for arm, part in zip(arms, parts, strict=True):
        study = part[0].run.path.resolve().parent.name
        name = _unused(arm if arms.count(arm) == 1 else f"{study}/{arm}", groups)
        groups.append(ArmRuns(name, arm, {run.seed: run for run in sorted(part, key=_seed)}))
    return sorted(groups, key=_place)


def arm_named(groups: Sequence[ArmRuns], name: str) -> ArmRuns:
    """The group of this name; ``UserError`` with the names there are."""
    for group in groups:
        if group.name == name:
            return group
    names = ", ".join(group.name for group in groups)
    raise UserError(f"There is no arm {name!r} among these runs; they are of {names}.")


def over_seeds(group: ArmRuns) -> dict[str, Any]:
    """``seeds``, ``n``, and for each figure its ``mean`` and ``sd`` (None for one seed)."""
    rows = [run.figures for run in group.runs.values()]
    return {
        "arm": group.arm,
        "seeds": list(group.runs),
        "n": rows[0]["n"],
        **{name: _spread([row[name] for row in rows]) for name in FIGURES},
        "slices": _mean_slices([row["slices"] for row in rows]),
    }


def paired_tests(groups: Sequence[ArmRuns]) -> list[dict[str, Any]]:
    """McNemar's exact test of every pair of arms, seed by seed, where single images are known.

    ``a``, ``b``, ``seed``, ``only_a`` and ``only_b`` (images that one alone has right), ``gain``
    (top-1 of ``a`` less that of ``b``) and ``p``.
    """
    rows = []
    for a, b in combinations(groups, 2):
        for seed in _common(a.answering, b.answering):
            found = mcnemar(_answers(a, seed).correct, _answers(b, seed).correct)
            gain = (found.only_a - found.only_b) / a.runs[seed].figures["n"]
            rows.append({"a": a.name, "b": b.name, "seed": seed, "gain": gain, **found._asdict()})
    return rows


def gains_over(group: ArmRuns, against: ArmRuns) -> ClassGains | None:
    """What ``group`` gains over another arm class by class; None where no seed has both."""
    seeds = _common(group.answering, against.answering)
    if not seeds:
        return None
    ours, theirs = ([_answers(arm, seed).correct for seed in seeds] for arm in (group, against))
    first = seeds[0]
    return class_gains(ours, theirs, _answers(group, first).labels, len(group.runs[first].classes))


def arms_as_json(groups: Sequence[ArmRuns], against: ArmRuns | None) -> dict[str, Any]:
    """``arms``, ``mcnemar`` and ``gains`` of ``python -m dait evaluate``; see ARCHITECTURE.md."""
    found: dict[str, Any] = {
        "arms": {group.name: over_seeds(group) for group in groups},
        "mcnemar": paired_tests(groups),
        "gains": None,
    }
    if against is not None:
        others = [group for group in groups if group is not against]
        gains = {group.name: _gains_as_json(group, against) for group in others}
        found["gains"] = {"against": against.name, "arms": gains}
    return found


def _gains_as_json(group: ArmRuns, against: ArmRuns) -> dict[str, Any]:
    both = _common(group.runs, against.runs)
    differences = [
        group.runs[seed].figures["top1"] - against.runs[seed].figures["top1"] for seed in both
    ]
    found = gains_over(group, against)
    return {
        "seeds": both,
        "top1": _spread(differences) if both else None,
        "per_class_seeds": _common(group.answering, against.answering),
        "per_class": None if found is None else gain_rows(found, group),
    }


def gain_rows(found: ClassGains, group: ArmRuns) -> list[dict[str, Any]]:
    """A row a class that has images: its ``index``, ``key``, ``name``, ``group``, ``n``, the
    accuracies ``ours`` and ``theirs``, ``gain`` and ``sd`` (None for one seed)."""
    classes = next(iter(group.answering.values())).classes
    return [
        {
            **class_as_json(classes, at),
            "n": int(found.count[at]),
            "ours": float(found.ours[at]),
            "theirs": float(found.theirs[at]),
            "gain": float(found.gain[at]),
            "sd": float(found.sd[at]) if found.seeds > 1 else None,
        }
        for at in np.flatnonzero(found.count).tolist()
    ]


def _check_comparable(runs: Sequence[Evaluated]) -> None:
    first = next((run for run in runs if run.answers is not None), runs[0])
    for run in runs:
        same = run.figures["n"] == first.figures["n"]
        if run.classes and first.classes:
            same &= [info.key for info in run.classes] == [info.key for info in first.classes]
        if run.answers is not None and first.answers is not None:
            same &= run.answers.ids == first.answers.ids
            same &= np.array_equal(run.answers.labels, first.answers.labels)
        if not same:
            raise UserError(
                f"{first.run.path} and {run.run.path} were measured on different images or know "
                "different classes, so they cannot be compared. Evaluate them one by one."
            )


def _each_seed_once(alike: list[Evaluated]) -> list[list[Evaluated]]:
    """Runs of one arm and recipe together, or folder by folder where a seed comes twice."""
    if len({run.seed for run in alike}) == len(alike):
        return [alike]
    folders: dict[Path, list[Evaluated]] = {}
    for run in alike:
        folders.setdefault(run.run.path.resolve().parent, []).append(run)
    if len(folders) == 1:
        names = ", ".join(run.run.path.name for run in alike)
        raise UserError(
            f"{next(iter(folders))} holds a run of one recipe, arm and seed twice ({names}); leave "
            "one out."
        )
    return [part for own in folders.values() for part in _each_seed_once(own)]


def _seed(run: Evaluated) -> int:
    return run.seed


def _recipe(run: Evaluated) -> str:
    """What must be the same for seeds to be seeds of one thing."""
    config = run.run.config()
    names = ("arm", "seed", "name", "title", "expected")
    return repr(sorted((key, value) for key, value in config.items() if key not in names))


def _answers(group: ArmRuns, seed: int) -> RunPredictions:
    answers = group.runs[seed].answers
    assert answers is not None  # of the seeds that answer
    return answers


def _common(a: Mapping[int, Evaluated], b: Mapping[int, Evaluated]) -> list[int]:
    return [seed for seed in a if seed in b]


def _spread(values: Sequence[float | None]) -> dict[str, float | None] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"mean": mean(known), "sd": stdev(known) if len(known) > 1 else None}


def _mean_slices(tables: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """{name: {value: mean}} over the seeds that have it."""
    names = dict.fromkeys(name for table in tables for name in table)
    found: dict[str, Any] = {}
    for name in names:
        own = [table[name] for table in tables if name in table]
        values = dict.fromkeys(value for row in own for value in row)
        found[name] = {value: mean(row[value] for row in own if value in row) for value in values}
    return found


def _unused(name: str, groups: Sequence[ArmRuns]) -> str:
    taken = {group.name for group in groups}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _place(group: ArmRuns) -> int:
    return ARM_ORDER.index(group.arm) if group.arm in ARM_ORDER else len(ARM_ORDER)
