"""Faults of the machine under a training: a full disk, a read-only one, a clock that is set."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from amount import FULL, amount, chance
from apart import Apart, start
from cut_off import whole
from without_rights import become_plain

from app.studies.ticket import process_of
from dait.cli import main
from dait.config.recipe import Recipe
from dait.errors import Stopped, UserError
from dait.events import Event, StepDone, ignore
from dait.evidence.comparison import Comparison
from dait.runs.folder import RunFolder, StudyFolder, by_present_clock, this_boot
from dait.study.plan import read_plan
from dait.study.train import run_study, train_study

ARMS = "independent,dait"
PAGE = 4096
ENOUGH = "256m"


@pytest.fixture(scope="module")
def recipe_file(small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "machine.yaml"
    path.write_text(small_recipe.to_yaml())
    return path


@pytest.fixture(scope="module")
def expected(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study to which nothing happened, with its cache beside it."""
    folder = tmp_path_factory.mktemp("whole")
    begun = train(recipe_file, folder, folder)
    assert begun.ended() == 0, begun.said
    return folder


def train(recipe_file: Path, disk: Path, folder: Path, work: Any = main, **more: str) -> Apart:
    """The study on this disk, begun or resumed; what it prints is in the folder."""
    out = disk / "study"
    words = ["study", str(recipe_file), "--arms", ARMS, "--seeds", "0", "--out", str(out)]
    if (out / "study.json").exists():
        words = ["study", "--resume", str(out)]
    return start(folder, work, words, DAIT_CACHE=str(disk / "cache"), **more)


def require_a_sentence(begun: Apart) -> str:
    """What a command that failed said, which must be for its user."""
    assert begun.ended() == 2, begun.said
    assert "Traceback" not in begun.said and begun.said.strip(), begun.said
    return begun.said


def leftovers(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob(".*.tmp")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory, which a test gives its size."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ENOUGH}", "chaos", disk])
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def test_a_disk_that_fills_up_anywhere_is_a_sentence(
    recipe_file: Path, expected: Path, small_disk: Path, tmp_path: Path
) -> None:
    rng, points, full = chance("disk"), amount(2, 50), 0
    blocks = sum(-(-file.stat().st_size // PAGE) + 1 for file in expected.rglob("*"))
    for number in range(points):
        size = rng.randint(8, blocks + 8) if number else blocks // 3
        resize(small_disk, str(size * PAGE))
        begun = train(recipe_file, small_disk, tmp_path)
        if begun.ended() != 0:
            said = require_a_sentence(begun)
            assert "room" in said or "disk space" in said, (size, said)
            full += 1
            state = StudyFolder(small_disk / "study").state()
            assert state in ("failed", "queued", "lost", "preparing"), (size, state)
        resize(small_disk, ENOUGH)
        again = train(recipe_file, small_disk, tmp_path)
        assert again.ended() == 0, (size, again.said)
        assert whole(small_disk / "study") == whole(expected / "study"), size
        assert leftovers(small_disk) == []
        for entry in small_disk.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    print(json.dumps({"points": points, "full": full}))
    assert full > points // 3


def plainly(words: list[str]) -> int:
    """``python -m dait`` of a user for whom the rights of files count."""
    become_plain()
    return main(words)


def look(words: list[str]) -> int:
    """Everything that only reads a study."""
    become_plain()
    comparison = Comparison(StudyFolder(words[0]))
    assert comparison.table() and len(comparison.members) >= 3
    assert comparison.explain(comparison.test_image(0)[0])
    return 0


def test_read_only_folders_are_a_sentence_and_can_be_looked_at(
    recipe_file: Path, tiny_study: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    disk.chmod(0o555)
    try:
        begun = train(recipe_file, disk, tmp_path, plainly)
        said = require_a_sentence(begun)
        assert "cannot be written" in said or "Could not write" in said
        assert list(disk.iterdir()) == []
    finally:
        disk.chmod(0o755)
    # A run that was begun: nothing of it changes.
    begun = train(recipe_file, disk, tmp_path)
    assert begun.ended() == 0, begun.said
    run = disk / "study" / "dait-s0"
    (run / "result.json").unlink()
    folders = [path for path in (disk / "study").rglob("*") if path.is_dir()] + [disk / "study"]
    before = {str(file): file.read_bytes() for file in disk.rglob("*") if file.is_file()}
    for folder in folders:
        folder.chmod(0o555)
    try:
        said = require_a_sentence(train(recipe_file, disk, tmp_path, plainly))
        assert "Permission denied" in said or "cannot be written" in said
        assert before == {str(f): f.read_bytes() for f in disk.rglob("*") if f.is_file()}
    finally:
        for folder in folders:
            folder.chmod(0o755)
    # A finished study shows everything.
    copy = Path(shutil.copytree(tiny_study, tmp_path / "copy"))
    for path in copy.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    copy.chmod(0o555)
    begun = start(tmp_path, look, [str(copy)])
    assert begun.ended() == 0, begun.said
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755)


def under_a_jumping_clock(words: list[str]) -> int:
    """``python -m dait`` while somebody sets the clock, hours forth and back."""
    rng, real, ahead = random.Random(words[-1]), time.time, 0.0

    def jumping() -> float:
        nonlocal ahead
        if rng.random() < 0.2:
            ahead = rng.uniform(-5, 5) * 3600
        return real() + ahead

    time.time = jumping  # type: ignore[assignment]
    return main(words)


def test_a_clock_that_jumps_changes_no_result(
    recipe_file: Path, expected: Path, tmp_path: Path
) -> None:
    begun = train(recipe_file, tmp_path, tmp_path, under_a_jumping_clock)
    assert begun.ended() == 0, begun.said
    assert whole(tmp_path / "study") == whole(expected / "study")
    study = StudyFolder(tmp_path / "study")
    assert study.seconds_spent() >= 0 and all(run.seconds_spent() >= 0 for run in study.runs())


@pytest.mark.skipif(this_boot() is None, reason="this system does not name its starts")
@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
def test_a_clock_that_was_set_since_loses_no_training(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a set clock shows: other times of the machine's start, and so of every process."""
    run = RunFolder(tmp_path / "run")
    run.start_work(state="training")
    assert run.state() == "training"
    boot, made = psutil.boot_time(), psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3600 * hours)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: made(self) + 3600 * hours)
    assert run.state() == "training"
    # A process of this number that came later is another one, whatever the clock says.
    status = run.status()
    run.write_status(started=status["started"] - 3 * 3600)
    assert run.state() == "lost"
    # Of an earlier start of the machine nobody lives.
    assert by_present_clock(5.0, {"id": "another", "time": 1.0}) == 5.0


def test_a_copy_of_a_training_is_no_training(small_recipe: Recipe, tmp_path: Path) -> None:
    out, copy = tmp_path / "study", tmp_path / "copy"
    seen: list[tuple[str, str]] = []

    def copied(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 4 and not copy.exists():
            shutil.copytree(out, copy)
            seen.append((StudyFolder(out).state(), StudyFolder(copy).state()))
            # Whoever cancels the copy finds no process to end.
            assert process_of(StudyFolder(out)) is not None
            assert process_of(StudyFolder(copy)) is None
            # It is resumed by itself, beside the other.
            train_study(read_plan(StudyFolder(copy)), ignore)

    run_study(small_recipe, ["independent", "dait"], [0], out, copied)
    assert seen == [("training", "lost")]
    assert whole(copy) == whole(out)
    linked = tmp_path / "link"
    linked.symlink_to(out)
    StudyFolder(out).start_work(state="training")
    assert StudyFolder(linked).state() == "training"  # the same folder by another name
    out.rename(tmp_path / "moved")
    assert StudyFolder(tmp_path / "moved").state() == "training"


def test_two_trainers_on_one_folder_train_everything_once(
    recipe_file: Path, expected: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"

    def stop(event: Event) -> None:
        raise Stopped

    recipe = Recipe.model_validate(StudyFolder(expected / "study").description()["recipe"])
    with pytest.raises(Stopped):
        run_study(recipe, ["independent", "dait"], [0], out, stop)
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    cache = {"DAIT_CACHE": str(expected / "cache")}
    begun = [start(f, main, ["study", "--resume", str(out)], **cache) for f in folders]
    codes = sorted(one.ended() for one in begun)
    assert codes[0] == 0 and set(codes) <= {0, 2}, [one.said for one in begun]
    for one in begun:
        assert "Traceback" not in one.said
    assert any("is being trained by process" in one.said for one in begun)
    assert whole(out) == whole(expected / "study")
    assert leftovers(tmp_path) == []


def test_a_refusal_names_what_is_damaged(tiny_study: Path, tmp_path: Path) -> None:
    """Every file of a study damaged in turn: it opens without it, or a sentence says which."""
    files = [path.relative_to(tiny_study) for path in tiny_study.rglob("*") if path.is_file()]
    rng = chance("files")
    chosen = [(file, kind) for file in sorted(files) for kind in ("cut", "noise", "gone", "folder")]
    refused = 0
    for file, kind in chosen if FULL else rng.sample(chosen, 12):
        study = Path(shutil.copytree(tiny_study, tmp_path / "study"))
        damaged = study / file
        content = damaged.read_bytes()
        damaged.unlink()
        if kind == "cut":
            damaged.write_bytes(content[: len(content) // 2])
        elif kind == "noise":
            damaged.write_bytes(os.urandom(300))
        elif kind == "folder":
            damaged.mkdir()
        folder = StudyFolder(study)
        folder.state()
        folder.problem()
        try:
            comparison = Comparison(folder)
            comparison.table()
            comparison.explain(comparison.test_image(0)[0])
        except UserError as error:
            refused += 1
            assert study.name in str(error) or file.name in str(error), (file, kind, str(error))
            assert "Traceback" not in str(error)
        shutil.rmtree(study)
    assert refused
