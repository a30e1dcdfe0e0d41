"""The comparison's table: accuracy and cost of every network of a study."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

from dait.config.arms import arm_title
from dait.evaluation.metrics import evaluate_logits, mcnemar, top_k_correct
from dait.evaluation.records import INTERMEDIATE, VLM, SeedRecord, StudyRecord
from dait.evidence.heatmaps.row import RowNetwork

DIRECT = "direct"
ACCURACIES = ("top1", "top5", "mean_per_class")
COSTS = ("parameters", "macs", "latency_ms", "file_bytes", "map")

Figures = Mapping[str, Any]


def comparison_table(study: StudyRecord, seed: SeedRecord) -> list[dict[str, Any]]:
    """A row for each member of ``seed``, after what taught it alone; what is not known is None.

    ``key``, ``role``, ``title``; ``seeds``: how many the means go over; ``top1``, ``top5``,
    ``mean_per_class``: means over the seeds, fractions of the test split; ``sd``: of top-1 over
    the seeds, None for one; ``top1_of_seed`` and ``interval`` [low, high] (bootstrap, 95 %) of this
    seed alone; ``gain``: mean difference in top-1 to direct distillation over the seeds that have
    both; ``mcnemar_p``: against direct on this seed's test images; ``parameters``, ``macs``,
    ``file_bytes``, ``map`` [C, h, w] of this seed; ``latency_ms``: the least that was measured of
    any seed's, for they are one network, and other work on a machine only makes it slower.

    Networks that teach in one arm alone (a classifier, an assistant) have a row and are no
    members: they have no ``mcnemar_p``.

    Figures are those that the runs recorded; of the frozen teacher, what was not recorded is
    computed from its embeddings, which are kept in fp16.
    """
    listed = [
        other for member in seed.members for other in (*_teachers(study, seed, member), member)
    ]
    over_seeds = {member.key: _figures_by_seed(study, seed, member) for member in listed}
    direct = next((member for member in seed.members if member.role == DIRECT), None)
    rows = []
    for member in listed:
        row = _row(member, over_seeds[member.key], seed.seed)
        if direct is not None and member.key != direct.key:
            row["gain"] = _gain(over_seeds[member.key], over_seeds[direct.key])
            if member in seed.members:
                row["mcnemar_p"] = _mcnemar_p(seed, member, direct)
        rows.append(row)
    return rows


def _teachers(study: StudyRecord, seed: SeedRecord, member: RowNetwork) -> list[RowNetwork]:
    """The networks between the frozen teacher and this student that are no members themselves."""
    runs = study.runs[seed.seed]
    own = next((run for run in runs if run.folder.path.name == member.key), None)
    between = (own.result.get("between") or {}) if own is not None else {}
    return [
        RowNetwork(f"{member.key}/{role}", role, arm_title(role))
        for role in between
        if role != INTERMEDIATE
    ]


def _row(member: RowNetwork, figures: Mapping[int, Figures], seed: int) -> dict[str, Any]:
    here = figures[seed]
    seeds = 1 if member.role == VLM else len(figures)
    return {
        "key": member.key,
        "role": member.role,
        "title": member.title,
        "seeds": seeds,
        **{name: _mean(figures, name) for name in ACCURACIES},
        "sd": stdev([own["top1"] for own in figures.values()]) if seeds > 1 else None,
        "top1_of_seed": here["top1"],
        "interval": here.get("top1_interval"),
        "gain": None,
        "mcnemar_p": None,
        **{name: here.get(name) for name in COSTS},
        "latency_ms": _least(figures, "latency_ms"),
    }


def _figures_by_seed(
    study: StudyRecord, seed: SeedRecord, member: RowNetwork
) -> dict[int, Figures]:
    """{seed: figures as in ``result.json``} of a member, for the seeds that have it.

    The frozen teacher is the same for every seed.
    """
    if member.role == VLM:
        return dict.fromkeys(study.seeds, _teacher_figures(study, seed))
    found: dict[int, Figures] = {}
    for number in study.seeds:
        for run in study.runs[number]:
            own = run.result if member.role == run.arm else _between(run.result, member.role)
            if own:
                found[number] = own
    return found


def _between(result: Figures, role: str) -> Figures | None:
    # Results of earlier versions name the intermediate teacher alone.
    between = result.get("between") or {INTERMEDIATE: result.get(INTERMEDIATE)}
    figures: Figures | None = between.get(role)
    return figures


def _teacher_figures(study: StudyRecord, seed: SeedRecord) -> Figures:
    figures = evaluate_logits(seed.logits[VLM], seed.labels)
    for name in ("top1", "top5"):
        figures[name] = study.teacher.get(f"zero_shot_{name}") or figures[name]
    interval = study.teacher.get("zero_shot_interval") or figures["top1_interval"]
    costs = {name: study.teacher.get(name) for name in COSTS}
    return {**figures, "top1_interval": interval, **costs}


def _mean(figures: Mapping[int, Figures], name: str) -> float | None:
    values = [row[name] for row in figures.values() if row.get(name) is not None]
    return mean(values) if values else None


def _least(figures: Mapping[int, Figures], name: str) -> float | None:
    values = [row[name] for row in figures.values() if row.get(name) is not None]
    return min(values, default=None)


def _gain(figures: Mapping[int, Figures], direct: Mapping[int, Figures]) -> float | None:
    both = [number for number in figures if number in direct]
    return mean([figures[n]["top1"] - direct[n]["top1"] for n in both]) if both else None


def _mcnemar_p(seed: SeedRecord, member: RowNetwork, direct: RowNetwork) -> float:
    answers = [top_k_correct(seed.logits[m.key], seed.labels, 1) for m in (member, direct)]
    return mcnemar(*answers).p
