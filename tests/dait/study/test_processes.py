"""One training by several processes that talk through gloo."""

from __future__ import annotations

import json
import runpy
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from apart import Apart, start, start_together

import dait
from dait.cli import main
from dait.config.recipe import Recipe
from dait.distributed import this_world
from dait.events import ignore
from dait.runs.folder import StudyFolder
from dait.study.lock import locked_folder
from dait.study.plan import read_plan
from dait.study.run import train_run
from dait.study.train import run_study

pytestmark = pytest.mark.slow

PROJECT = Path(dait.__file__).parents[1]
LAUNCHERS = {
    # On CPUs it starts one process, whatever it is told: torchrun starts two.
    "accelerate": ["accelerate.commands.launch", "--cpu", "--num_processes", "1"],
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
}


def launch(launcher: str, words: list[str]) -> None:
    """``python -m`` a launcher, which starts ``python -m dait``."""
    module, *options = LAUNCHERS[launcher]
    sys.argv = [module, *options, "-m", "dait", *words]
    runpy.run_module(module, run_name="__main__")


def launched(folder: Path, launcher: str, *words: object) -> Apart:
    """A launcher that has ended, and all that it started."""
    more = {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    ended = start(folder, launch, launcher, [str(word) for word in words], **more)
    assert ended.ended(280) == 0, ended.said[-3000:]
    return ended


@pytest.fixture(scope="module")
def recipe(small_recipe: Recipe) -> Recipe:
    """A network without BatchNorm, whose statistics each process would have to itself."""
    options = {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]}
    network = {"name": "convnext_atto", "options": options}
    changes = {"student": network, "intermediate": network, "train.batch_size": 7}
    return small_recipe.changed(changes)


@pytest.fixture(scope="module")
def recipe_file(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "normless.yaml"
    path.write_text(recipe.to_yaml())
    return path


@pytest.fixture(scope="module")
def alone(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "alone"
    run_study(recipe, ["dait"], [0], out, ignore)
    return out


def test_two_processes_make_one_run_folder(recipe_file: Path, alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    words = ["train", recipe_file, "--arm", "dait", "--out", out, "--json"]
    done = launched(tmp_path, "torchrun", *words)
    (line,) = done.stdout.read_text().splitlines()  # one of them speaks
    assert json.loads(line)["dir"] == str(out / "dait-s0")
    mine, theirs = StudyFolder(out), StudyFolder(alone)
    assert mine.state() == "finished"
    ours, expected = mine.run("dait", 0), theirs.run("dait", 0)
    files = [
        sorted(str(file.relative_to(folder.path)) for file in folder.path.rglob("*"))
        for folder in (mine, theirs)
    ]
    assert files[0] == files[1]
    assert len(ours.metrics()) == len(expected.metrics()) == 4
    for row, wanted in zip(ours.metrics(), expected.metrics(), strict=True):
        assert row["loss"] == pytest.approx(wanted["loss"], rel=1e-4)
        assert row["val_loss"] == pytest.approx(wanted["val_loss"], rel=1e-3)
        assert row["parts"] == pytest.approx(wanted["parts"], rel=1e-3)
    assert ours.log_text().count("student, epoch 2 of 2") == 1
    assert done.said.count("student, epoch 2 of 2") == 1


def together(folder: Path, *words: object) -> list[Apart]:
    """``python -m dait`` as two processes of one training."""
    return start_together(folder, 2, main, [str(word) for word in words])


def test_a_finished_run_is_read_by_one_and_waited_for_by_none(alone: Path, tmp_path: Path) -> None:
    first, second = together(tmp_path, "train", "--resume", alone, "--json")
    assert [first.ended(), second.ended()] == [0, 0], first.said + second.said
    (line,) = first.stdout.read_text().splitlines()
    assert json.loads(line)["arm"] == "dait"
    assert second.stdout.read_text() == ""


def test_accelerate_launch_starts_it_too(alone: Path, tmp_path: Path) -> None:
    done = launched(tmp_path, "accelerate", "train", "--resume", alone, "--json")
    assert json.loads(done.stdout.read_text().splitlines()[-1])["arm"] == "dait"


def read_the_run(study: Path) -> None:
    world, plan = this_world(), read_plan(StudyFolder(study))

    def prepared(_: object) -> None:
        raise AssertionError("there is nothing to train")

    result = train_run(plan, plan.runs[0], prepared, ignore, world=world)  # type: ignore[arg-type]
    assert 0 <= result["top1"] <= 1
    world.close()


def test_a_run_that_was_finished_meanwhile_is_known_to_all(alone: Path, tmp_path: Path) -> None:
    for process in start_together(tmp_path, 2, read_the_run, alone):
        assert process.ended() == 0, process.said


def test_what_the_main_process_cannot_begin_ends_all(tmp_path: Path) -> None:
    for process in together(tmp_path, "train", "no-such-recipe", "--out", tmp_path / "run"):
        assert process.ended() == 2
        assert "no-such-recipe" in process.said and "Traceback" not in process.said


def test_a_busy_folder_is_refused_by_all(alone: Path, tmp_path: Path) -> None:
    shutil.copytree(alone, tmp_path / "study")
    (tmp_path / "study" / "dait-s0" / "result.json").unlink()
    with locked_folder(StudyFolder(tmp_path / "study")):
        for process in together(tmp_path, "train", "--resume", tmp_path / "study"):
            assert process.ended() == 2
            assert "is being trained by process" in process.said


@pytest.mark.parametrize("lost", [0, 1])
def test_no_process_waits_for_one_that_was_killed(
    recipe: Recipe, tmp_path: Path, lost: int
) -> None:
    long = tmp_path / "long.yaml"
    long.write_text(recipe.changed({"train.epochs": 2000}).to_yaml())
    out = tmp_path / "study"
    processes = together(tmp_path, "train", long, "--arm", "independent", "--out", out)
    run, waited = StudyFolder(out).run("independent", 0), time.monotonic()
    while not run.metrics() and time.monotonic() - waited < 100:
        time.sleep(0.2)
    processes[lost].process.kill()
    left = processes[1 - lost]
    assert left.ended(120) == 2 and processes[lost].ended() == -signal.SIGKILL
    assert "Another process of this training ended" in left.said, left.said[-2000:]
    if lost:
        assert run.state() == "failed" and "Another process" in run.status()["message"]
