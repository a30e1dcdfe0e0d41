"""A study planned first and trained run by run."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cut_off import whole

from dait.cli import main
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import Event, Note, ignore
from dait.runs.folder import StudyFolder
from dait.study.plan import StudyPlan, begin_study, read_plan
from dait.study.train import finish_study, run_study, run_task


def planned(recipe: Recipe, out: Path) -> StudyPlan:
    begin_study(recipe, ["independent", "direct"], [0], out)
    StudyFolder(out).write_status(state="queued", tasks=True)
    return read_plan(StudyFolder(out))


@pytest.mark.slow
def test_tasks_in_any_order_make_the_study(small_recipe: Recipe, tmp_path: Path) -> None:
    plan = planned(small_recipe, tmp_path / "apart")
    assert plan.folder.state() == "queued"
    with pytest.raises(UserError, match=r"2 of 2 runs have no result\. Their tasks: 0 \(indep"):
        finish_study(plan, ignore)
    second = run_task(plan, 1, ignore)
    status = plan.folder.status()
    assert (status["state"], status["progress"], status["pid"]) == ("queued", 0.5, None)
    assert status["message"] == "1 of 2 runs finished"
    assert not (plan.folder.path / "tsne.npz").exists()
    first = run_task(plan, 0, ignore)
    assert (first["arm"], second["arm"]) == ("independent", "direct")
    run_study(small_recipe, ["independent", "direct"], [0], tmp_path / "whole", ignore)
    assert whole(tmp_path / "apart") == whole(tmp_path / "whole")
    assert plan.folder.state() == "finished" and (plan.folder.path / "tsne.npz").exists()
    for file in ("teacher.npz", "tsne.npz"):
        assert (tmp_path / "whole" / file).exists()
    mine, theirs = (StudyFolder(tmp_path / name).description() for name in ("apart", "whole"))
    assert mine == theirs

    events = list[Event]()
    before = plan.run_folder(plan.runs[0]).student.stat().st_mtime_ns
    assert run_task(plan, 0, events.append)["top1"] == first["top1"]
    assert events == [Note("independent, seed 0: finished before")]
    assert plan.run_folder(plan.runs[0]).student.stat().st_mtime_ns == before
    assert [row["arm"] for row in finish_study(plan, ignore)] == ["independent", "direct"]


def test_a_task_that_is_not_there(small_recipe: Recipe, tmp_path: Path) -> None:
    plan = planned(small_recipe, tmp_path)
    for task in (2, -1):
        with pytest.raises(UserError, match=f"no task {task}: its tasks are 0 to 1"):
            run_task(plan, task, ignore)


def test_the_state_of_a_planned_study_is_its_runs(small_recipe: Recipe, tmp_path: Path) -> None:
    plan = planned(small_recipe, tmp_path)
    run = plan.run_folder(plan.runs[0])
    run.start_work(state="training", host="another-machine")
    assert (run.state(), plan.folder.state()) == ("training", "training")
    run.write_status(host=platform.node(), pid=2**31 - 1)
    assert (run.state(), plan.folder.state()) == ("lost", "lost")
    run.write_status(state="failed")
    assert plan.folder.state() == "failed"
    run.write_status(state="finished")
    assert plan.folder.state() == "queued"


def test_another_machine_that_went_silent_is_lost(tmp_path: Path) -> None:
    run = StudyFolder(tmp_path).run("dait", 0)
    run.start_work(state="training", host="another-machine")
    assert run.state() == "training"
    status = run.status() | {"updated": time.time() - 3600}
    (run.path / "status.json").write_text(json.dumps(status))
    assert run.state() == "lost"


def test_the_command_line_plans(
    small_recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "plan.yaml", tmp_path / "a study"
    file.write_text(small_recipe.to_yaml())
    words = ["--arms", "independent,dait", "--seeds", "0,1", "--out", str(out)]
    assert main(["study", "plan", str(file), *words, "--slurm", "--json"]) == 0
    settings = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert settings["study"] == str(out)
    assert [(row["task"], row["arm"], row["seed"]) for row in settings["tasks"]] == [
        (0, "independent", 0), (1, "dait", 0), (2, "independent", 1), (3, "dait", 1),
    ]  # fmt: skip
    script = (out / "array.sbatch").read_text()
    assert script.startswith("#!/bin/bash\n") and "#SBATCH --array=0-3\n" in script
    # The script is a shell's: a quoted folder, and the task that the array gives.
    runs = [line for line in script.splitlines() if " -m dait study run " in line]
    (line,) = runs
    assert f"study run '{out}' --task" in line
    subprocess.run(["bash", "-n", str(out / "array.sbatch")], check=True)
    assert main(["study", "plan", str(file), *words]) == 2
    assert "already holds a study" in capsys.readouterr().err
    assert main(["study", "finish", str(out)]) == 2
    assert "4 of 4 runs have no result" in capsys.readouterr().err


def test_a_task_is_named_by_option_or_by_the_array(
    small_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned(small_recipe, tmp_path)
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    assert main(["study", "run", str(tmp_path)]) == 2
    assert "Say which task" in capsys.readouterr().err
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    assert main(["study", "run", str(tmp_path)]) == 2
    assert "no task 7" in capsys.readouterr().err


@pytest.mark.slow
def test_a_task_that_was_killed_is_given_again(
    longer_recipe_file: Path,
    tmp_path: Path,
    killed: Callable[..., int],
    tell: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "study"
    given = ["--arms", "independent", "--seeds", "0,1", "--out", out]
    assert [row["task"] for row in json.loads(tell("study", "plan", longer_recipe_file, *given,
                                                   "--json"))["tasks"]] == [0, 1]  # fmt: skip
    run = StudyFolder(out).run("independent", 0)
    killed(lambda: len(run.metrics()) >= 2, "study", "run", out, "--task", 0)
    assert StudyFolder(out).state() == "lost"
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    settings = json.loads(tell("study", "run", out, "--json"))
    assert (settings["task"], settings["seed"], settings["dir"]) == (0, 0, str(run.path))
    assert StudyFolder(out).status()["message"] == "1 of 2 runs finished"
    assert json.loads(tell("study", "run", out, "--task", 1, "--json"))["seed"] == 1
    assert StudyFolder(out).state() == "finished"
    settings = json.loads(tell("study", "finish", out, "--json"))
    assert [row["seed"] for row in settings["runs"]] == [0, 1]
    assert [row["epoch"] for row in run.metrics()] == [1, 2, 3, 4, 5, 6]
