"""The map of regimes (``dait.evaluation.regimes``): every arm under teachers of several strengths.

A plan is cut into units, each a sweep of its own in a folder of its own. Any number of processes
may be started on the same folder, on one machine or several: each takes the units that nobody works
on, and a row that is there is not trained again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from dait.arms.catalogue import plan_of
from dait.config.arms import ARMS, Arm
from dait.config.recipe import Recipe, load_recipe
from dait.config.section import Section
from dait.data.base import Split
from dait.errors import UserError
from dait.evaluation.regimes import ROWS, Measured, RegimeRow
from dait.events import Emit, Note, ignore
from dait.evidence.probes.probes import linear_probe
from dait.models.spec import NetworkSpec
from dait.runs.folder import to_json
from dait.storage.files import parse_json, parse_yaml, read_bytes, write_atomically
from dait.storage.lock import locked
from dait.study.context import StudyContext, prepare
from dait.study.stage import new_network
from dait.study.sweep import LOG, run_sweep
from dait.teachers.embedding import embed_split
from dait.training.inference import predict_split

MEASURED = "measured.json"
WITHOUT = "no-teacher"


class RegimePlan(Section):
    """Which regimes are trained. settings: dotted keys of the recipe, for all of them."""

    recipe: str = Field(description="A bundled recipe or the path of one")
    settings: dict[str, Any] = Field({}, description="Dotted keys of the recipe and their values")
    teachers: dict[str, str] = Field(
        min_length=1, description="Frozen teachers: a short name to that which recipes give"
    )
    conditions: dict[str, dict[str, Any]] = Field(
        min_length=1, description="Which images: a short name to dotted keys and their values"
    )
    students: dict[str, NetworkSpec] = Field(min_length=1, description="Networks by a short name")
    arms: tuple[Arm, ...] = Field(ARMS, description="Arms")
    seeds: tuple[int, ...] = Field((0, 1, 2), description="Seeds")


@dataclass(frozen=True)
class Unit:
    """What one process does at a time. teacher: None for the arms that ask no frozen teacher, whose
    students are the same under every one."""

    seed: int
    condition: str
    teacher: str | None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"seed-{self.seed}-{self.condition}-{self.teacher or WITHOUT}"


def load_plan(path: Path) -> RegimePlan:
    """A plan in YAML. Raises UserError."""
    try:
        return RegimePlan.model_validate(parse_yaml(read_bytes(path).decode()))
    except (OSError, ValueError, ValidationError) as error:
        raise UserError(f"The plan of regimes {path} cannot be used: {error}.") from None


def units_of(plan: RegimePlan) -> list[Unit]:
    """Seed by seed, so that the first of them give a whole map."""
    found = []
    for seed, condition in itertools.product(plan.seeds, plan.conditions):
        teachers: list[str | None] = list(plan.teachers)
        found += [Unit(seed, condition, t) for t in (*teachers, None) if _arms(plan, t)]
    return found


def run_regimes(plan: RegimePlan, out: Path, emit: Emit) -> list[RegimeRow]:
    """Train what is missing and nobody else trains; all rows that are there in the end.

    They are written to ``out/regimes.jsonl``. Raises UserError for a plan that is not possible, and
    where ``out`` holds another one.
    """
    described = out / "plan.json"
    text = plan.model_dump_json(indent=1) + "\n"
    if described.exists() and described.read_text(encoding="utf-8") != text:
        raise UserError(f"{out} holds regimes of another plan; choose another folder.")
    recipes = {unit: _recipe(plan, unit) for unit in units_of(plan)}
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(described, text)
    for unit, recipe in recipes.items():
        folder = out / unit.name
        try:
            with locked(out / f"{unit.name}.lock", _busy):
                emit(Note(f"regime {unit.name}"))
                _train(plan, unit, recipe, folder, emit)
        except _BusyError:
            emit(Note(f"regime {unit.name} is being trained by another process"))
    rows = collect(plan, out)
    write_atomically(out / ROWS, "".join(row.model_dump_json() + "\n" for row in rows))
    return rows


def collect(plan: RegimePlan, out: Path) -> list[RegimeRow]:
    """The rows of all units that are there.

    What was trained without a frozen teacher stands there once for every teacher.
    """
    rows, units = [], units_of(plan)
    for unit in units:
        for row in _rows(out / unit.name / LOG):
            student = NetworkSpec.model_validate(row["setting"]["student"])
            named = next(name for name, spec in plan.students.items() if spec == student)
            teachers = list(plan.teachers) if unit.teacher is None else [unit.teacher]
            for teacher in teachers:
                under = Unit(unit.seed, unit.condition, teacher)
                measured = _kept(out / under.name / MEASURED).get(named)
                if measured is None:
                    continue
                rows.append(
                    RegimeRow(
                        teacher=teacher,
                        student=named,
                        condition=unit.condition,
                        measured=Measured.model_validate(measured),
                        arm=row["arm"],
                        seed=row["seed"],
                        top1=row["top1"],
                        intermediate_top1=row["intermediate_top1"],
                        seconds=row["seconds"],
                    )
                )
    return rows


def measure(
    context: StudyContext,
    students: Mapping[str, NetworkSpec],
    seed: int = 0,
    emit: Emit = ignore,
) -> dict[str, Measured]:
    """What is known of a regime before training, for each student; some seconds.

    Only training images that have labels and validation images are looked at.
    """
    data = context.data
    train, val = data.split("train"), data.split("val")
    classes = len(data.classes)
    seen = [embed_split(context.teacher, split.images).cpu() for split in (train, val)]
    logits = context.prototypes.logit_scale * seen[1] @ context.prototypes.vectors.T
    zero_shot = float((logits.argmax(1).numpy() == val.labels).mean())
    probe = _probe(train, val, *(part.float().numpy() for part in seen))
    found = {}
    emit(Note("probing the frozen teacher and the start weights"))
    for name, spec in students.items():
        network = new_network(context, spec, seed)
        starts = [predict_split(network, split).pooled.numpy() for split in (train, val)]
        found[name] = Measured(
            classes=classes,
            labelled=len(train) / classes,
            unlabelled=data.counts().get("unlabelled", 0) / classes,
            zero_shot=zero_shot,
            probe=probe,
            start_probe=_probe(train, val, *starts),
        )
    return found


def _probe(train: Split, val: Split, fit: np.ndarray, test: np.ndarray) -> float:
    """Accuracy on validation, which also chooses the regularisation: a little too high."""
    right, _ = linear_probe((fit, train.labels), (test, val.labels), (test, val.labels))
    return float(right.mean())


def _train(plan: RegimePlan, unit: Unit, recipe: Recipe, folder: Path, emit: Emit) -> None:
    settings = [{"student": spec.model_dump()} for spec in plan.students.values()]
    arms = _arms(plan, unit.teacher)
    if unit.teacher is not None and not (folder / MEASURED).exists():
        folder.mkdir(exist_ok=True)
        found = measure(prepare(recipe, emit, measured="val"), plan.students)
        known = {name: measured.model_dump() for name, measured in found.items()}
        write_atomically(folder / MEASURED, to_json(known) + "\n")
    run_sweep(recipe, settings, arms, [unit.seed], folder, emit, measured="test")


def _recipe(plan: RegimePlan, unit: Unit) -> Recipe:
    teacher = plan.teachers[unit.teacher or next(iter(plan.teachers))]
    changes = {**plan.settings, **plan.conditions[unit.condition], "teacher.name": teacher}
    return load_recipe(plan.recipe).changed(changes)


def _arms(plan: RegimePlan, teacher: str | None) -> list[Arm]:
    """Those that ask a frozen teacher, or the others."""
    return [arm for arm in plan.arms if plan_of(arm).asks_teacher == (teacher is not None)]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [parse_json(line) for line in read_bytes(path).splitlines()] if path.exists() else []


def _kept(path: Path) -> dict[str, Any]:
    return dict(parse_json(read_bytes(path))) if path.exists() else {}


class _BusyError(Exception):
    """Another process works on a unit."""


def _busy() -> None:
    raise _BusyError
