from __future__ import annotations

from pathlib import Path

import pytest

from dait.arms.catalogue import plan_of
from dait.config.arms import Arm
from dait.errors import UserError
from dait.events import Event, Note, StageKept, StageStarted, ignore
from dait.models.checkpoint import tensors_sha256
from dait.models.tensors import load_tensors
from dait.recipe import Recipe, load_recipe
from dait.runs import StudyFolder
from dait.study.earlier import first_stage_key
from dait.study.plan import begin_study, read_plan
from dait.study.whole import train_study

ONE_EPOCH = {"train.epochs": 1, "dait.text_weight": 2}
OTHER_STUDENT = {"student.options.channels": [8, 8, 16, 16]}


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("tiny").changed(ONE_EPOCH)


def train(recipe: Recipe, arms: list[Arm], out: Path, *reuse: Path) -> list[Event]:
    heard = list[Event]()
    train_study(begin_study(recipe, arms, [7], out, reuse=reuse), heard.append)
    return heard


def weights(study: Path, run: str, role: str) -> str:
    return tensors_sha256(load_tensors(StudyFolder(study).path / run / f"{role}.safetensors"))


def test_another_student_is_taught_as_if_the_teacher_had_been_trained_anew(
    recipe: Recipe, tmp_path: Path
) -> None:
    arms: list[Arm] = ["kd", "takd", "dait"]
    named = recipe.changed({"takd.network": recipe.intermediate.model_dump()})
    train(named, arms, tmp_path / "first")
    other = named.changed({"dait.spatial_weight": 1})
    heard = train(other, arms, tmp_path / "taken", tmp_path / "first")
    train(other, arms, tmp_path / "anew")
    started = [event.name for event in heard if isinstance(event, StageStarted)]
    assert started == ["student"] * 3
    kept = [event.name for event in heard if isinstance(event, StageKept)]
    assert kept == ["classifier", "assistant", "intermediate teacher"]
    for arm, role in (("kd", "classifier"), ("takd", "assistant"), ("dait", "intermediate")):
        for file in (role, "student"):
            taken = weights(tmp_path / "taken", f"{arm}-s7", file)
            assert taken == weights(tmp_path / "anew", f"{arm}-s7", file)
    (_, _, run) = StudyFolder(tmp_path / "taken").runs()
    assert (run.result() or {})["taken"] == {"intermediate": "first/dait-s7"}
    anew = StudyFolder(tmp_path / "anew").runs()[2]
    assert [row["stage"] for row in run.metrics()] == [row["stage"] for row in anew.metrics()]
    assert (anew.result() or {})["taken"] == {}


def test_a_teacher_of_other_settings_is_trained_here_and_that_is_said(
    recipe: Recipe, tmp_path: Path
) -> None:
    train(recipe, ["dait"], tmp_path / "first")
    changed = recipe.changed({"dait.semantic_weight": 3})
    heard = train(changed, ["dait"], tmp_path / "second", tmp_path / "first")
    notes = [event.text for event in heard if isinstance(event, Note)]
    assert any(
        "no run in first has trained this intermediate teacher with seed 7" in n for n in notes
    )
    assert next(e.name for e in heard if isinstance(e, StageStarted)) == "intermediate teacher"


@pytest.mark.parametrize(
    ("arm", "change"),
    [
        ("dait", {"dait.spatial_weight": 1}),
        ("dait", {"dait.text_weight": 0}),
        ("dait", {"direct.feature_weight": 9}),
        ("dait", OTHER_STUDENT),
        ("dait", {"views.cache": False}),
        ("kd", {"kd.logit_weight": 9}),
        ("kd", {"dait.semantic_weight": 9}),
        ("takd", {"takd.logit_weight": 9}),
    ],
)
def test_what_a_first_stage_does_not_depend_on(
    recipe: Recipe, arm: Arm, change: dict[str, object]
) -> None:
    stages = plan_of(arm).stages
    other = recipe.changed(change)
    assert first_stage_key(recipe, stages(recipe), 7) == first_stage_key(other, stages(other), 7)


@pytest.mark.parametrize(
    ("arm", "change"),
    [
        ("dait", {"dait.semantic_weight": 9}),
        ("dait", {"dait.temperature": 9}),
        ("dait", {"dait.stage1_epochs": 9}),
        ("dait", {"train.epochs": 9}),
        ("dait", {"train.learning_rate": 0.9}),
        ("dait", {"views.kind": "original"}),
        ("dait", {"data.seed": 9}),
        ("dait", {"intermediate.options.channels": [8, 8, 16, 16]}),
        ("kd", {"intermediate.options.channels": [8, 8, 16, 16]}),
        ("takd", {"takd.zero_shot_weight": 9}),
        ("takd", OTHER_STUDENT),  # its assistant is the student's network at twice its width
    ],
)
def test_what_a_first_stage_depends_on(recipe: Recipe, arm: Arm, change: dict[str, object]) -> None:
    stages = plan_of(arm).stages
    other = recipe.changed(change)
    assert first_stage_key(recipe, stages(recipe), 7) != first_stage_key(other, stages(other), 7)
    assert first_stage_key(recipe, stages(recipe), 7) != first_stage_key(recipe, stages(recipe), 8)


def test_an_arm_of_one_stage_teaches_nobody(recipe: Recipe) -> None:
    for arm in ("independent", "direct", "vl2lite"):
        assert first_stage_key(recipe, plan_of(arm).stages(recipe), 7) is None


def test_a_folder_without_a_run_is_refused_before_anything_is_written(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="neither a study"):
        begin_study(recipe, ["dait"], [7], tmp_path / "out", reuse=[tmp_path])
    assert not (tmp_path / "out").exists()


def test_a_resumed_study_still_knows_whom_to_ask(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, ["dait"], tmp_path / "first")
    begin_study(recipe, ["dait"], [7], tmp_path / "second", reuse=[tmp_path / "first"])
    train_study(read_plan(StudyFolder(tmp_path / "second")), ignore)
    (run,) = StudyFolder(tmp_path / "second").runs()
    assert (run.result() or {})["taken"] == {"intermediate": "first/dait-s7"}
    assert weights(tmp_path / "first", "dait-s7", "student") == weights(
        tmp_path / "second", "dait-s7", "student"
    )
