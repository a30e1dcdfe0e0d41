"""Several runs compared: means over seeds, gains, and paired tests between arms.

Imports nothing heavy: the first table of the app comes from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from dait.config.arms import arm_title
from dait.errors import UserError
from dait.evaluation.metrics import ClassGains, class_gains, evaluate_logits, mcnemar
from dait.evaluation.predictions import INTERMEDIATE, RunPredictions, read_predictions
from dait.evaluation.records import (
    VLM,
    ComparedNetwork,
    SeedRecord,
    StudyRecord,
    arm_place,
    teachers_of,
)
from dait.evaluation.runs import FIGURES, EvaluatedRun, class_as_json

DIRECT = "direct"
ACCURACIES = ("top1", "top5", "mean_per_class")
COSTS = ("parameters", "macs", "latency_ms", "file_bytes", "map")

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one arm under one recipe, by seed.

    name: the arm, or ``STUDY/arm`` where runs of several recipes have this arm.
    """

    name: str
    arm: str
    runs: Mapping[int, EvaluatedRun]

    @property
    def figures(self) -> dict[int, Figures]:
        """``EvaluatedRun.figures`` by seed."""
        return {seed: run.figures for seed, run in self.runs.items()}

    @property
    def predictions(self) -> dict[int, RunPredictions]:
        """Predictions by seed, for the seeds that have them."""
        known = {seed: run.predictions for seed, run in self.runs.items()}
        return {seed: found for seed, found in known.items() if found is not None}


def group_by_arm(runs: Sequence[EvaluatedRun]) -> list[ArmRuns]:
    """The runs by arm, in the order of ``ARMS``, then as given; seeds ascend.

    Seeds of one recipe belong together wherever their folders lie, unless a seed occurs twice: then
    those of one folder do. Raises ``UserError`` where the runs were evaluated on different images
    or know different classes, and where a folder holds the same run twice.
    """
    _check_comparable(runs)
    same: dict[tuple[str, str], list[EvaluatedRun]] = {}
    for run in runs:
        same.setdefault((run.arm, _recipe(run)), []).append(run)
    parts = [part for alike in same.values() for part in _each_seed_once(alike)]
    arms = [part[0].arm for part in parts]
    groups: list[ArmRuns] = []
    for arm, part in zip(arms, parts, strict=True):
        name = arm if arms.count(arm) == 1 else f"{_parent(part[0]).name}/{arm}"
        seeds = {run.seed: run for run in sorted(part, key=lambda run: run.seed)}
        groups.append(ArmRuns(_unused(name, groups), arm, seeds))
    return sorted(groups, key=lambda group: arm_place(group.arm))


def arm_named(groups: Sequence[ArmRuns], name: str) -> ArmRuns:
    """The group of this name; ``UserError`` with the names there are."""
    for group in groups:
        if group.name == name:
            return group
    names = ", ".join(group.name for group in groups)
    raise UserError(f"There is no arm {name!r} among these runs; they are of {names}.")


def over_seeds(group: ArmRuns) -> dict[str, Any]:
    """``seeds``, ``n``, and for each figure its ``mean`` and ``sd`` (None for one seed)."""
    rows = list(group.figures.values())
    return {
        "arm": group.arm,
        "seeds": list(group.runs),
        "n": rows[0]["n"],
        **{name: mean_and_sd([row[name] for row in rows]) for name in FIGURES},
        "slices": _mean_slices([row["slices"] for row in rows]),
    }


def paired_tests(groups: Sequence[ArmRuns]) -> list[dict[str, Any]]:
    """McNemar's exact test of every pair of arms, seed by seed, where predictions are known.

    ``a``, ``b``, ``seed``, ``only_a`` and ``only_b`` (images that one alone has right), ``gain``
    (top-1 of ``a`` less that of ``b``) and ``p``.
    """
    rows = []
    for a, b in combinations(groups, 2):
        for seed in _common(a.predictions, b.predictions):
            found = mcnemar(a.predictions[seed].correct, b.predictions[seed].correct)
            gain = (found.only_a - found.only_b) / a.figures[seed]["n"]
            rows.append({"a": a.name, "b": b.name, "seed": seed, "gain": gain, **found._asdict()})
    return rows


def gains_as_json(group: ArmRuns, against: ArmRuns) -> dict[str, Any]:
    """What ``group`` gains over another arm: ``seeds``, ``top1`` (``mean`` and ``sd`` of the
    differences), ``per_class_seeds`` and ``per_class``, which is None where no seed of both has
    predictions."""
    differences = _gains(group.figures, against.figures)
    seeds = _common(group.predictions, against.predictions)
    return {
        "seeds": list(differences),
        "top1": mean_and_sd(list(differences.values())),
        "per_class_seeds": seeds,
        "per_class": _class_rows(group, against, seeds) if seeds else None,
    }


def arms_as_json(groups: Sequence[ArmRuns], against: ArmRuns | None) -> dict[str, Any]:
    """``arms``, ``mcnemar`` and ``gains`` of ``python -m dait evaluate``; see ARCHITECTURE.md."""
    found: dict[str, Any] = {
        "arms": {group.name: over_seeds(group) for group in groups},
        "mcnemar": paired_tests(groups),
        "gains": None,
    }
    if against is not None:
        others = [group for group in groups if group is not against]
        gains = {group.name: gains_as_json(group, against) for group in others}
        found["gains"] = {"against": against.name, "arms": gains}
    return found


def comparison_table(study: StudyRecord, seed: SeedRecord) -> list[dict[str, Any]]:
    """A row for each member of ``seed``, after the networks that taught it alone.

    ``key``, ``role``, ``title``; ``seeds``: how many the means go over; ``top1``, ``top5``,
    ``mean_per_class``: means over the seeds, fractions of the test split; ``sd``: of top-1 over
    the seeds, None for one; ``top1_of_seed`` and ``interval`` [low, high] (bootstrap, 95 %) of this
    seed alone; ``gain``: mean difference in top-1 to direct distillation over the seeds that have
    both; ``mcnemar_p``: against direct on this seed's test images; ``mcnemar_ps``: the same of
    every seed whose predictions are kept, by the seed as text (the row is JSON); ``parameters``,
    ``macs``, ``file_bytes``, ``map`` [C, h, w] of this seed; ``latency_ms``: the least of all
    seeds, which have the same network: other work on a machine only makes it slower. None is
    unknown.

    Networks that teach in one arm alone (a classifier, an assistant) have a row and are no
    members: they have no ``mcnemar_p``, and nothing in ``mcnemar_ps``.

    Figures are those that the runs recorded; those of the frozen teacher that were not recorded are
    computed from its embeddings, which are stored in fp16.
    """
    networks = [
        other for member in seed.members for other in (*_teachers(study, seed, member), member)
    ]
    by_seed = {network.key: _figures_by_seed(study, seed, network) for network in networks}
    direct = next((member for member in seed.members if member.role == DIRECT), None)
    right = {**correct_by_seed(study), VLM: dict.fromkeys(study.seeds, _right(seed, VLM))}
    rows = []
    for network in networks:
        row = _row(network, by_seed[network.key], seed.seed)
        if direct is not None and network.key != direct.key:
            gain = mean_and_sd(list(_gains(by_seed[network.key], by_seed[direct.key]).values()))
            row["gain"] = None if gain is None else gain["mean"]
            if network in seed.members:
                tests = _tests_by_seed(right[network.role], right[DIRECT])
                row["mcnemar_p"] = tests.get(seed.seed)
                row["mcnemar_ps"] = {str(of): p for of, p in tests.items()}
        rows.append(row)
    return rows


def correct_by_seed(study: StudyRecord) -> dict[str, dict[int, np.ndarray]]:
    """Which test images are right, ``(N,)`` bool, by arm or a teacher's role, and by seed.

    Of runs whose predictions are kept. Raises ``UserError`` where a file is damaged.
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    for seed, runs in study.runs.items():
        for run in runs:
            if run.folder.predictions.exists():
                known = read_predictions(run.folder.predictions, len(study.classes))
                for role, logits in known.logits.items():
                    name = run.arm if role == "student" else role
                    found.setdefault(name, {})[seed] = logits.argmax(axis=1) == known.labels
    return found


def mean_and_sd(values: Sequence[float | None]) -> dict[str, float | None] | None:
    """``mean`` and ``sd`` (None for one value) of the values that are known; None without any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"mean": mean(known), "sd": stdev(known) if len(known) > 1 else None}


def _right(seed: SeedRecord, key: str) -> np.ndarray:
    found: np.ndarray = seed.logits[key].argmax(axis=1) == seed.labels
    return found


def _tests_by_seed(
    ours: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray]
) -> dict[int, float]:
    return {seed: mcnemar(ours[seed], theirs[seed]).p for seed in _common(ours, theirs)}


def _gains(ours: Mapping[int, Figures], theirs: Mapping[int, Figures]) -> dict[int, float]:
    """Differences in top-1 by seed, for the seeds that both have."""
    return {seed: ours[seed]["top1"] - theirs[seed]["top1"] for seed in _common(ours, theirs)}


def _class_rows(group: ArmRuns, against: ArmRuns, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each class with images: its ``index``, ``key``, ``name``, ``group``, ``n``, the
    accuracies ``ours`` and ``theirs``, ``gain`` and ``sd`` (None for one seed)."""
    classes = group.runs[seeds[0]].classes
    ours, theirs = ([arm.predictions[seed].correct for seed in seeds] for arm in (group, against))
    labels = group.predictions[seeds[0]].labels
    found: ClassGains = class_gains(ours, theirs, labels, len(classes))
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


def _row(network: ComparedNetwork, figures: Mapping[int, Figures], seed: int) -> dict[str, Any]:
    here = figures[seed]
    spreads = {
        name: mean_and_sd([own.get(name) for own in figures.values()]) for name in ACCURACIES
    }
    top1, latencies = spreads["top1"], [own.get("latency_ms") for own in figures.values()]
    seeds = 1 if network.role == VLM else len(figures)
    return {
        "key": network.key,
        "role": network.role,
        "title": network.title,
        "seeds": seeds,
        **{name: None if found is None else found["mean"] for name, found in spreads.items()},
        "sd": top1["sd"] if top1 is not None and seeds > 1 else None,
        "top1_of_seed": here["top1"],
        "interval": here.get("top1_interval"),
        "gain": None,
        "mcnemar_p": None,
        "mcnemar_ps": {},
        **{name: here.get(name) for name in COSTS},
        "latency_ms": min((value for value in latencies if value is not None), default=None),
    }


def _teachers(
    study: StudyRecord, seed: SeedRecord, member: ComparedNetwork
) -> list[ComparedNetwork]:
    """The networks between the frozen teacher and this student that are no members themselves."""
    own = next((run for run in study.runs[seed.seed] if run.folder.path.name == member.key), None)
    return [
        ComparedNetwork(f"{member.key}/{role}", role, arm_title(role))
        for role in (teachers_of(own.result) if own is not None else ())
        if role != INTERMEDIATE
    ]


def _figures_by_seed(
    study: StudyRecord, seed: SeedRecord, network: ComparedNetwork
) -> dict[int, Figures]:
    """{seed: figures as in ``result.json``} of a network, for the seeds that have it.

    The frozen teacher is the same for every seed.
    """
    if network.role == VLM:
        return dict.fromkeys(study.seeds, _frozen_teacher_figures(study, seed))
    found: dict[int, Figures] = {}
    for number in study.seeds:
        for run in study.runs[number]:
            teachers = teachers_of(run.result)
            own = run.result if network.role == run.arm else teachers.get(network.role)
            if own:
                found[number] = own
    return found


def _frozen_teacher_figures(study: StudyRecord, seed: SeedRecord) -> Figures:
    figures = evaluate_logits(seed.logits[VLM], seed.labels)
    for name in ("top1", "top5"):
        figures[name] = study.teacher.get(f"zero_shot_{name}") or figures[name]
    interval = study.teacher.get("zero_shot_interval") or figures["top1_interval"]
    costs = {name: study.teacher.get(name) for name in COSTS}
    return {**figures, "top1_interval": interval, **costs}


def _check_comparable(runs: Sequence[EvaluatedRun]) -> None:
    first = next((run for run in runs if run.predictions is not None), runs[0])
    for run in runs:
        same = run.figures["n"] == first.figures["n"]
        if run.classes and first.classes:
            same &= [info.key for info in run.classes] == [info.key for info in first.classes]
        if run.predictions is not None and first.predictions is not None:
            same &= run.predictions.ids == first.predictions.ids
            same &= np.array_equal(run.predictions.labels, first.predictions.labels)
        if not same:
            raise UserError(
                f"{first.folder.path} and {run.folder.path} were evaluated on different images or "
                "know different classes, so they cannot be compared. Evaluate them one by one."
            )


def _each_seed_once(alike: list[EvaluatedRun]) -> list[list[EvaluatedRun]]:
    """Runs of one arm and recipe together, or folder by folder where a seed occurs twice."""
    if len({run.seed for run in alike}) == len(alike):
        return [alike]
    folders: dict[Path, list[EvaluatedRun]] = {}
    for run in alike:
        folders.setdefault(_parent(run), []).append(run)
    if len(folders) == 1:
        names = ", ".join(run.folder.path.name for run in alike)
        raise UserError(
            f"{next(iter(folders))} holds a run of one recipe, arm and seed twice ({names}); leave "
            "one out."
        )
    return [part for own in folders.values() for part in _each_seed_once(own)]


def _parent(run: EvaluatedRun) -> Path:
    return run.folder.path.resolve().parent


def _recipe(run: EvaluatedRun) -> str:
    """What must be the same for seeds to be seeds of one thing."""
    config = run.folder.config()
    names = ("arm", "seed", "name", "title", "expected")
    return repr(sorted((key, value) for key, value in config.items() if key not in names))


def _common(a: Mapping[int, object], b: Mapping[int, object]) -> list[int]:
    return [seed for seed in a if seed in b]


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
