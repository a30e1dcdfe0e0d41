"""Studies that were cut off with kill -9: each goes on to what it would have come to anyway."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cut_off import whole

from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import Event, Note, StepDone, ignore
from dait.runs.folder import RunFolder, StudyFolder, to_json
from dait.study.context import prepare
from dait.study.description import describe_or_check
from dait.study.plan import read_plan
from dait.study.train import run_study, train_study

pytestmark = pytest.mark.slow

Moment = Callable[[RunFolder], bool]
Kill = Callable[..., int]
Tell = Callable[..., str]


@pytest.fixture(scope="module")
def uninterrupted(longer_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    run_study(longer_recipe, ["dait"], [0], out, ignore)
    return out


def planned(run: RunFolder) -> bool:
    return (run.path.parent / "study.json").exists()


def begun(run: RunFolder) -> bool:
    return run.begun


def after_two_epochs(run: RunFolder) -> bool:
    return len(run.metrics()) == 2


def while_something_is_written(run: RunFolder) -> bool:
    return len(run.metrics()) >= 3 and any(run.path.rglob(".*.tmp"))


def between_the_stages(run: RunFolder) -> bool:
    return run.intermediate.exists()


def in_the_second_stage(run: RunFolder) -> bool:
    return len(run.metrics()) >= 7


def in_the_evaluation(run: RunFolder) -> bool:
    return run.student.exists()


def after_the_run(run: RunFolder) -> bool:
    return run.result() is not None


MOMENTS: list[Moment] = [
    planned, begun, after_two_epochs, while_something_is_written, between_the_stages,
    in_the_second_stage, in_the_evaluation, after_the_run,
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_killed_and_resumed_is_as_good_as_never_killed(
    moment: Moment,
    uninterrupted: Path,
    longer_recipe_file: Path,
    tmp_path: Path,
    killed: Kill,
    tell: Tell,
) -> None:
    out = tmp_path / "study"
    run = StudyFolder(out).run("dait", 0)
    pid = killed(lambda: moment(run), "train", longer_recipe_file, "--arm", "dait", "--out", out)
    assert StudyFolder(out).state() in ("queued", "lost")
    settings = json.loads(tell("train", "--resume", run.path if run.begun else out, "--json"))
    assert (settings["arm"], settings["seed"], settings["dir"]) == ("dait", 0, str(run.path))
    status = run.status()
    assert status["pid"] == os.getpid() or (moment is after_the_run and status["pid"] == pid)
    found = whole(out)
    assert found == whole(uninterrupted)
    assert found["dait-s0"]["weights"].keys() >= {"student.safetensors", "intermediate.safetensors"}


def test_killed_twice(
    uninterrupted: Path, longer_recipe_file: Path, tmp_path: Path, killed: Kill, tell: Tell
) -> None:
    out = tmp_path / "study"
    run = StudyFolder(out).run("dait", 0)
    words = ["train", longer_recipe_file, "--arm", "dait", "--out", out]
    killed(lambda: after_two_epochs(run), *words)
    first = run.seconds_spent()
    killed(lambda: in_the_second_stage(run), "train", "--resume", out)
    assert run.seconds_spent() > first > 0
    assert (
        json.loads(tell("train", "--resume", out, "--json"))["seconds"]
        > run.status()["seconds_before"]
        > first
    )
    assert whole(out) == whole(uninterrupted)


def test_a_finished_run_is_read_not_repeated(uninterrupted: Path, tell: Tell) -> None:
    student = uninterrupted / "dait-s0" / "student.safetensors"
    before = student.stat().st_mtime_ns
    settings = json.loads(tell("train", "--resume", uninterrupted / "dait-s0", "--json"))
    result = json.loads((uninterrupted / "dait-s0" / "result.json").read_text())
    assert settings == result | {"dir": str(uninterrupted / "dait-s0")}
    assert student.stat().st_mtime_ns == before


def test_a_study_goes_on_in_the_right_arm_and_seed(
    longer_recipe: Recipe, longer_recipe_file: Path, tmp_path: Path, killed: Kill, tell: Tell
) -> None:
    out, arms = tmp_path / "study", list[Arm](["direct", "independent"])
    folder = StudyFolder(out)
    last = folder.run("direct", 1)
    words = ["--arms", ",".join(arms), "--seeds", "0,1", "--out", out]
    killed(lambda: len(last.metrics()) >= 3, "study", longer_recipe_file, *words)
    finished = [folder.run(arm, 0).path / "student.safetensors" for arm in arms]
    before = [file.stat().st_mtime_ns for file in finished]
    assert folder.status()["progress"] > 0.5
    settings = json.loads(tell("study", "--resume", out, "--json"))
    assert [(run["arm"], run["seed"]) for run in settings["runs"]] == [
        ("direct", 0), ("independent", 0), ("direct", 1), ("independent", 1),
    ]  # fmt: skip
    assert [file.stat().st_mtime_ns for file in finished] == before
    run_study(longer_recipe, arms, [0, 1], tmp_path / "whole", ignore)
    assert whole(out) == whole(tmp_path / "whole")
    assert json.loads(tell("study", "--resume", out, "--json"))["runs"] == settings["runs"]


def test_one_run_of_a_study_is_resumed_alone(
    small_recipe: Recipe, tmp_path: Path, tell: Tell
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, StepDone):
            raise ZeroDivisionError("by chance")

    with pytest.raises(ZeroDivisionError):
        run_study(small_recipe, ["independent", "direct"], [0], tmp_path, stop)
    folder = StudyFolder(tmp_path)
    settings = json.loads(tell("train", "--resume", tmp_path / "independent-s0", "--json"))
    assert settings["arm"] == "independent"
    assert folder.state() == "queued" and folder.status()["message"] == "1 of 2 runs finished"
    settings = json.loads(tell("study", "--resume", tmp_path, "--json"))
    assert [run["arm"] for run in settings["runs"]] == ["independent", "direct"]
    assert folder.state() == "finished"


def test_resume_takes_no_other_options(tmp_path: Path, recipe_path: Path, tell: Tell) -> None:
    said = tell("train", recipe_path, "--resume", tmp_path, "--arm", "direct", "--epochs", "3")
    assert "leave out RECIPE, --epochs, --arm" in said
    assert "leave out --seeds" in tell("study", "--resume", tmp_path, "--seeds", "1")
    assert "nothing to resume" in tell("study", "--resume", tmp_path, "--json")
    assert "Name a recipe" in tell("train") and "Name a recipe" in tell("study")
    assert list(tmp_path.iterdir()) == []


def test_changed_images_or_teacher_are_not_gone_on_with(
    small_recipe: Recipe, tmp_path: Path
) -> None:
    context, folder = prepare(small_recipe, ignore), StudyFolder(tmp_path)
    folder.create({"recipe": small_recipe.model_dump()})
    describe_or_check(folder, context)
    describe_or_check(folder, context)
    described = folder.description()
    for section, key, said in (
        ("data", "fingerprint", "The images of .* have changed since"),
        ("teacher", "weights_hash", "The weights of the teacher .* are not those"),
    ):
        changed = described | {section: described[section] | {key: "another"}}
        (tmp_path / "study.json").write_text(to_json(changed))
        with pytest.raises(UserError, match=said):
            describe_or_check(folder, context)


def test_another_recipe_in_the_run_folder_is_not_gone_on_with(
    small_recipe: Recipe, tmp_path: Path
) -> None:
    run_study(small_recipe, ["independent"], [0], tmp_path, ignore)
    run = StudyFolder(tmp_path).run("independent", 0)
    (run.path / "result.json").unlink()
    other = small_recipe.changed({"train.epochs": 3}).model_dump()
    (run.path / "config.yaml").write_text(to_json(other | {"arm": "independent", "seed": 0}))
    with pytest.raises(UserError, match="holds a run of another recipe, arm or seed"):
        train_study(read_plan(StudyFolder(tmp_path)), ignore)


def test_other_libraries_are_worth_a_note(small_recipe: Recipe, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, StepDone):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_study(small_recipe, ["independent"], [0], tmp_path, stop)
    run = StudyFolder(tmp_path).run("independent", 0)
    run.write_status(versions={**run.status()["versions"], "timm": "0.1"})
    events = list[Event]()
    run_study(small_recipe, ["independent"], [0], tmp_path, events.append, resume=True)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert len([note for note in notes if note.startswith("timm was 0.1 when this run")]) == 1
    assert "timm was 0.1" in run.log_text() and run.status()["versions"]["timm"] != "0.1"


def test_a_training_that_lives_is_not_trained_twice(small_recipe: Recipe, tmp_path: Path) -> None:
    caught = list[UserError]()

    def again(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 1:
            with pytest.raises(UserError) as error:
                train_study(read_plan(StudyFolder(tmp_path)), ignore)
            caught.append(error.value)

    run_study(small_recipe, ["independent"], [0], tmp_path, again)
    assert f"is being trained by process {os.getpid()}" in str(caught[0])
    assert StudyFolder(tmp_path).state() == "finished"


@pytest.mark.parametrize("largest", [20_000, 100_000], ids=["no weights", "no checkpoint"])
def test_a_full_disk_is_a_sentence_and_what_was_there_is_gone_on_with(
    largest: int,
    small_recipe: Recipe,
    recipe_path: Path,
    tmp_path: Path,
    on_a_full_disk: Tell,
    tell: Tell,
) -> None:
    out = tmp_path / "study"
    said = on_a_full_disk(largest, "train", recipe_path, "--arm", "independent", "--out", out)
    folder = StudyFolder(out)
    run = folder.run("independent", 0)
    assert "Could not write" in said and "Free some disk space" in said and "Trace" not in said
    assert (folder.state(), run.state()) == ("failed", "failed")
    assert "Could not write" in run.status()["message"] and not run.student.exists()
    assert json.loads(tell("train", "--resume", out, "--json"))["arm"] == "independent"
    run_study(small_recipe, ["independent"], [0], tmp_path / "whole", ignore)
    assert whole(out) == whole(tmp_path / "whole")
