"""One training by several processes that talk through gloo."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cut_off import PROJECT, environment

from dait.config.recipe import Recipe
from dait.events import ignore
from dait.runs.folder import StudyFolder
from dait.study.train import run_study

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


def started(count: int, *words: object) -> list[subprocess.Popen[str]]:
    """``count`` processes of one training, as a scheduler starts them that ends none of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "ACCELERATE_USE_CPU": "true",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            env=environment()
            | shared
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        for rank in range(count)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit status and stderr of each; none may wait for another that has ended."""
    try:
        said = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, text) for p, text in zip(processes, said, strict=True)]


TRAIN_THE_RUN_ALONE = """
import sys
from dait.errors import UserError
from dait.runs.folder import StudyFolder
from dait.events import ignore
from dait.study.plan import read_plan
from dait.study.run import train_run
from dait.distributed import this_world
world, plan = this_world(), read_plan(StudyFolder(sys.argv[1]))
def prepared(listen): raise AssertionError("there is nothing to train")
result = train_run(plan, plan.runs[0], prepared, ignore, world=world)
assert 0 <= result["top1"] <= 1
world.close()
"""


def test_a_run_that_was_finished_meanwhile_is_known_to_all(alone: Path) -> None:
    for status, said in ended(started(2, "-c", TRAIN_THE_RUN_ALONE, alone)):
        assert status == 0, said


def test_what_the_main_process_cannot_begin_ends_all(tmp_path: Path) -> None:
    found = ended(started(2, "-m", "dait", "train", "no-such-recipe", "--out", tmp_path / "run"))
    assert [status for status, _ in found] == [2, 2]
    assert all("no-such-recipe" in said and "Traceback" not in said for _, said in found)


def test_a_busy_folder_is_refused_by_all(alone: Path, tmp_path: Path) -> None:
    shutil.copytree(alone, tmp_path / "study")
    (tmp_path / "study" / "dait-s0" / "result.json").unlink()
    from dait.study.lock import locked_folder

    with locked_folder(StudyFolder(tmp_path / "study")):
        found = ended(started(2, "-m", "dait", "train", "--resume", tmp_path / "study"))
    assert [status for status, _ in found] == [2, 2]
    assert all("is being trained by process" in said for _, said in found)


@pytest.mark.parametrize("lost", [0, 1])
def test_no_process_waits_for_one_that_was_killed(
    recipe: Recipe, tmp_path: Path, lost: int
) -> None:
    long = tmp_path / "long.yaml"
    long.write_text(recipe.changed({"train.epochs": 2000}).to_yaml())
    out = tmp_path / "study"
    processes = started(2, "-m", "dait", "train", long, "--arm", "independent", "--out", out)
    run, waited = StudyFolder(out).run("independent", 0), time.monotonic()
    while not run.metrics() and time.monotonic() - waited < 100:
        time.sleep(0.2)
    processes[lost].send_signal(signal.SIGKILL)
    status, said = ended(processes)[1 - lost]
    assert status == 2 and "Another process of this training ended" in said, said[-2000:]
    if lost:
        assert run.state() == "failed" and "Another process" in run.status()["message"]
