"""What is written before anything is trained, and what may be gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dait.cli.commands import COMMANDS
from dait.config.recipe import Recipe, recipe_names
from dait.errors import UserError
from dait.runs.folder import RunFolder, StudyFolder
from dait.study.plan import PlannedRun, begin_study, find_run, read_plan


def test_a_plan_is_read_back_as_it_was_begun(small_recipe: Recipe, tmp_path: Path) -> None:
    begun = begin_study(small_recipe, ["direct", "dait"], [3, 0], tmp_path / "study")
    assert begun.runs == (
        PlannedRun("direct", 3), PlannedRun("dait", 3), PlannedRun("direct", 0),
        PlannedRun("dait", 0),
    )  # fmt: skip
    read = read_plan(StudyFolder(tmp_path / "study"))
    assert (read.recipe, read.runs) == (begun.recipe, begun.runs)
    assert (begun.resumed, read.resumed) == (False, True)
    assert begun.folder.state() == "queued" and begun.missing() == [0, 1, 2, 3]


def test_nothing_is_begun_over_a_study(small_recipe: Recipe, tmp_path: Path) -> None:
    begin_study(small_recipe, ["dait"], [0], tmp_path)
    before = (tmp_path / "study.json").read_bytes()
    with pytest.raises(UserError, match="already holds a study; choose another"):
        begin_study(small_recipe, ["dait"], [0], tmp_path)
    assert (tmp_path / "study.json").read_bytes() == before


def test_resume_wants_the_same_study(small_recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "study"
    with pytest.raises(UserError, match="nothing to resume"):
        begin_study(small_recipe, ["dait"], [0], out, resume=True)
    assert not begin_study(small_recipe, ["dait"], [0], out, resume="auto").resumed
    for resume in (True, "auto", out):
        assert begin_study(small_recipe, ["dait"], [0], out, resume).resumed  # type: ignore[arg-type]
    other = small_recipe.changed({"train.epochs": 7, "dait.spatial_weight": 1})
    with pytest.raises(UserError, match=r"train\.epochs, dait\.spatial_weight differ"):
        begin_study(other, ["dait"], [0], out, resume=True)
    with pytest.raises(UserError, match="its arms and seeds differ"):
        begin_study(small_recipe, ["dait"], [1], out, resume="auto")


def test_a_run_is_found_by_its_folder(small_recipe: Recipe, tmp_path: Path) -> None:
    begin_study(small_recipe, ["direct", "dait"], [0], tmp_path / "two")
    plan, task = find_run(tmp_path / "two" / "dait-s0")
    assert (task, plan.folder.path) == (1, tmp_path / "two")
    with pytest.raises(UserError, match=r"2 runs\. Resume all of them with .*study --resume"):
        find_run(tmp_path / "two")
    with pytest.raises(UserError, match="has direct-s0, dait-s0"):
        find_run(tmp_path / "two" / "kd-s0")
    begin_study(small_recipe, ["dait"], [0], tmp_path / "one")
    assert find_run(tmp_path / "one")[1] == find_run(tmp_path / "one" / "dait-s0")[1] == 0
    with pytest.raises(UserError, match="nothing to resume"):
        find_run(tmp_path / "nowhere" / "dait-s0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"runs": [{"arm": "dait", "seed": 0}]}', "holds no recipe"),
        ('{"recipe": {}, "runs": []}', "lists no runs"),
        ('{"recipe": {}, "runs": [{"arm": "no-arm", "seed": 0}]}', "damaged .*no arm 'no-arm'"),
        ('{"recipe": {}, "ru', "damaged"),
    ],
)
def test_a_damaged_plan_is_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(UserError, match=said):
        read_plan(StudyFolder(tmp_path))


def test_a_plan_is_there_before_anything_slow_is_imported() -> None:
    """So that a training that is killed in its first second can be resumed."""
    code = (
        "import sys, json, dait.cli.train, dait.cli.study_tasks\n"
        "print(json.dumps([name in sys.modules for name in ('torch', 'timm', 'accelerate')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False, False]


def test_no_recipe_is_called_like_an_action() -> None:
    assert not {f"study {name}" for name in recipe_names()} & set(COMMANDS)


def test_weights_without_a_configuration_are_not_trained_over(tmp_path: Path) -> None:
    (tmp_path / "student.safetensors").write_bytes(b"somebody's")
    with pytest.raises(UserError, match="already holds a run"):
        RunFolder(tmp_path).create({})
