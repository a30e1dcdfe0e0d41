"""The map of regimes is trained unit by unit, and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.evaluation.regimes import ROWS, read_rows
from dait.events import Event, Note, ignore
from dait.models.spec import NetworkSpec
from dait.storage.lock import locked
from dait.study.regimes import RegimePlan, load_plan, run_regimes, units_of


@pytest.fixture
def plan(small_recipe: Recipe, tmp_path: Path) -> RegimePlan:
    file = tmp_path / "recipe.yaml"
    file.write_text(small_recipe.changed({"data.labelled_per_class": 2}).to_yaml())
    student = small_recipe.student
    options = {"channels": [8, 8, 8, 16], "stem_width": 8}
    return RegimePlan(
        recipe=str(file),
        settings={"train.epochs": 1},
        teachers={"one": small_recipe.teacher.name, "two": "fieldguide-clip"},
        conditions={"with": {}, "without": {"data.use_unlabelled": False}},
        students={
            "small": student,
            "wide": NetworkSpec(name=student.name, output_stride=8, options=options),
        },
        arms=("independent", "direct"),
        seeds=(0,),
    )


def test_arms_without_a_teacher_are_trained_once_for_all(plan: RegimePlan) -> None:
    assert [unit.name for unit in units_of(plan)] == [
        *("seed-0-with-one", "seed-0-with-two", "seed-0-with-no-teacher"),
        *("seed-0-without-one", "seed-0-without-two", "seed-0-without-no-teacher"),
    ]


@pytest.mark.slow
def test_a_map_is_whole_and_is_not_trained_twice(plan: RegimePlan, tmp_path: Path) -> None:
    out, said = tmp_path / "map", list[Event]()
    # Another process works on one unit: it is left to that.
    out.mkdir()
    with locked(out / "seed-0-without-two.lock", pytest.fail):
        rows = run_regimes(plan, out, said.append)
    busy = [e.text for e in said if isinstance(e, Note) and "another process" in e.text]
    assert len(busy) == 1 and "seed-0-without-two" in busy[0]
    assert len(rows) == 3 * 2 * 2
    rows = run_regimes(plan, out, ignore)
    assert {(r.condition, r.teacher, r.student, r.arm) for r in rows} == {
        (condition, teacher, student, arm)
        for condition in plan.conditions
        for teacher in plan.teachers
        for student in plan.students
        for arm in plan.arms
    }
    assert read_rows(out / ROWS) == rows
    for row in rows:
        measured = row.measured
        assert measured.labelled == 2 and (measured.unlabelled == 2) == (row.condition == "with")
        assert measured.classes == 6 and 0 <= measured.start_probe <= 1
    independent = {(r.condition, r.student): r.top1 for r in rows if r.arm == "independent"}
    assert all(
        r.top1 == independent[r.condition, r.student] for r in rows if r.arm == "independent"
    )
    said.clear()
    assert run_regimes(plan, out, said.append) == rows
    assert not any(not isinstance(event, Note) for event in said)  # nothing was trained
    with pytest.raises(UserError, match="another plan"):
        run_regimes(plan.model_copy(update={"seeds": (1,)}), out, ignore)


def test_a_plan_is_checked_when_it_is_read(plan: RegimePlan, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(json.dumps(plan.model_dump()))
    assert load_plan(file) == plan
    file.write_text("recipe: few-labels\nteachers: {}\n")
    with pytest.raises(UserError, match="teachers"):
        load_plan(file)
