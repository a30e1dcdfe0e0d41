"""One training by two processes that talk through gloo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cut_off import PROJECT, environment

from dait.events import ignore
from dait.recipe import Recipe
from dait.runs import StudyFolder
from dait.study.whole import run_study

pytestmark = pytest.mark.slow

LAUNCHERS = {
    # On CPUs it starts one process, whatever it is told: torchrun starts two.
    "accelerate": ["accelerate.commands.launch", "--cpu", "--num_processes", "1"],
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
}


def launched(launcher: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *LAUNCHERS[launcher], "-m", "dait", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=280,
        env=environment() | {"PYTHONPATH": str(PROJECT)},
        cwd=PROJECT,
    )


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
    done = launched("torchrun", "train", recipe_file, "--arm", "dait", "--out", out, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()  # one of them speaks
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
    assert done.stderr.count("student, epoch 2 of 2") == 1


def test_a_finished_run_is_read_by_one_and_waited_for_by_none(alone: Path) -> None:
    done = launched("torchrun", "train", "--resume", alone, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["arm"] == "dait"


def test_accelerate_launch_starts_it_too(alone: Path) -> None:
    done = launched("accelerate", "train", "--resume", alone, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["arm"] == "dait"
