"""Images that have moved, and other library versions: what a study goes on with, and is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dait.cli import main
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import Event, Note, StepDone, ignore
from dait.evidence.single_images import SingleImages
from dait.runs.data import moved_hint, open_data
from dait.runs.folder import StudyFolder, to_json
from dait.study.moved import move_data
from dait.study.plan import read_plan
from dait.study.train import run_study, train_study


def photos(folder: Path, extra: int = 0, value: int = 0) -> Path:
    rng = np.random.default_rng(value)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for label in ("heron", "stork"):
            (folder / split / label).mkdir(parents=True)
            for number in range(count + extra):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """As they were: the command line sets its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def cut_off(small_recipe: Recipe, tmp_path: Path) -> Path:
    """A study of one run on photographs, ended by chance in its second step."""
    source = photos(tmp_path / "photos")
    recipe = small_recipe.changed({"data.source": str(source), "train.batch_size": 4})

    def stop(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 2:
            raise ZeroDivisionError

    out = tmp_path / "runs" / "study"
    with pytest.raises(ZeroDivisionError):
        run_study(recipe, ["independent"], [0], out, stop)
    return out


@pytest.fixture
def moved(cut_off: Path) -> Path:
    return Path(shutil.move(cut_off.parents[1] / "photos", cut_off.parents[1] / "elsewhere"))


def test_a_study_goes_on_with_images_that_have_moved(
    cut_off: Path, moved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAIT_RUNS", str(cut_off.parent))
    assert main(["study", "--resume", "study"]) == 2
    command = "`python -m dait study --resume study --data FOLDER`"
    assert command in capsys.readouterr().err
    assert command in StudyFolder(cut_off).status()["message"]  # what the app shows
    monkeypatch.chdir(moved.parent)
    assert main(["study", "--resume", "study", "--data", moved.name]) == 0
    study = StudyFolder(cut_off)
    (run,) = study.runs()
    for recipe in (study.description()["recipe"], run.config()):
        assert recipe["data"]["source"] == str(moved)
    assert f"the images lie at {moved} now" in study.log_text()
    assert study.state() == "finished"
    # Kept with the study: nothing else has to be told.
    assert main(["evaluate", str(cut_off), "--split", "val"]) == 0


def test_a_finished_study_is_told_by_whatever_needs_its_images(
    cut_off: Path, moved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "--resume", str(cut_off), "--data", str(moved)]) == 0
    again = Path(shutil.move(moved, moved.with_name("again")))
    study = StudyFolder(cut_off)
    recipe = read_plan(study).recipe
    with pytest.raises(UserError, match=r"heron/0.png’ was in .*--data FOLDER`"):
        hint = moved_hint(cut_off, recipe)
        SingleImages(recipe.data, lambda: hint).image(0, "test/heron/0.png")
    picture = cut_off.parent / "row.png"
    words = ["explain", str(cut_off), "--index", "0", "--out", str(picture)]
    assert main(words) == 2 and "--data FOLDER" in capsys.readouterr().err
    assert main([*words, "--data", str(again)]) == 0 and picture.exists()
    assert study.description()["recipe"]["data"]["source"] == str(again)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("class", "a new ‘owl’"),
        ("count", "5 train images and not 8|12 train images and not 8"),
        ("name", "other images in the val split"),
        ("bytes", "the same names, but other lengths or times of change.*cp -a"),
    ],
)
def test_other_images_are_refused_by_what_differs(
    cut_off: Path, moved: Path, change: str, said: str
) -> None:
    if change == "class":
        shutil.copytree(moved / "train" / "heron", moved / "train" / "owl")
    elif change == "count":
        for label in ("heron", "stork"):
            for number in (7, 8):
                shutil.copy(
                    moved / "train" / label / "0.png", moved / "train" / label / f"{number}.png"
                )
    elif change == "name":
        (moved / "val" / "heron" / "0.png").rename(moved / "val" / "heron" / "9.png")
    else:
        os.utime(moved / "test" / "heron" / "0.png", ns=(1, 1))
    before = (cut_off / "study.json").read_bytes()
    with pytest.raises(UserError, match=said):
        move_data(cut_off, str(moved), ignore)
    assert (cut_off / "study.json").read_bytes() == before


def test_a_library_that_reads_images_otherwise_is_named_and_may_be_accepted(
    cut_off: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if the study had been begun with another Pillow."""
    study = StudyFolder(cut_off)
    described = study.description()
    data = open_data(read_plan(study).recipe, ignore)
    then = {**data.reader, "pillow": "9.9"}  # type: ignore[attr-defined]
    settings = described["data"] | {"fingerprint": data.fingerprint_read_by(then), "reader": then}  # type: ignore[attr-defined]
    (cut_off / "study.json").write_text(to_json(described | {"data": settings}))
    assert main(["study", "--resume", str(cut_off)]) == 2
    said = capsys.readouterr().err
    assert "pillow was 9.9 and is" in said and "not bit for bit" in said
    assert main(["study", "--resume", str(cut_off), "--accept-versions"]) == 0
    known = study.description()["data"]
    assert known["fingerprint"] == data.fingerprint
    assert known["before"] == [{"fingerprint": settings["fingerprint"], "reader": then}]
    assert "pillow was 9.9" in study.log_text()
    assert main(["study", "--resume", str(cut_off)]) == 0  # told once


def test_an_older_study_has_the_versions_of_its_runs(cut_off: Path) -> None:
    study = StudyFolder(cut_off)
    (run,) = study.runs()
    described = study.description()
    data = open_data(read_plan(study).recipe, ignore)
    then = {**data.reader, "pillow": "9.9"}  # type: ignore[attr-defined]
    run.write_status(versions={**run.status()["versions"], "pillow": "9.9"})
    old = {"name": "photos", "fingerprint": data.fingerprint_read_by(then), "counts": data.counts()}  # type: ignore[attr-defined]
    (cut_off / "study.json").write_text(to_json(described | {"data": old}))
    with pytest.raises(UserError, match=r"pillow was 9\.9 and is"):
        train_study(read_plan(study), ignore)
    old["fingerprint"] = "of other images"
    (cut_off / "study.json").write_text(to_json(described | {"data": old}))
    with pytest.raises(UserError, match=r"have changed since .*pillow was 9\.9"):
        train_study(read_plan(study), ignore)


def test_other_threads_than_before_are_worth_a_word(cut_off: Path) -> None:
    """The same seed gives other weights on another number of threads: that is said, not refused."""
    study, heard = StudyFolder(cut_off), list[Event]()
    (run,) = study.runs()
    assert run.status()["runtime"]["threads"] == torch.get_num_threads()
    run.write_status(runtime=run.status()["runtime"] | {"threads": 64})
    (result,) = train_study(read_plan(study), heard.append)
    said = f"threads 64 then and {torch.get_num_threads()} now"
    assert any(isinstance(event, Note) and said in event.text for event in heard)
    assert said in run.log_text()
    assert result["runtime"]["threads"] == torch.get_num_threads()
    assert result["runtime"].keys() == {"threads", "interop_threads", "processes", "device"}


def test_only_images_and_versions_may_be_told_with_resume(
    cut_off: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", "--resume", str(cut_off), "--accept-versions", "--seeds", "3"]
    assert main(words) == 2
    assert "leave out --seeds." in capsys.readouterr().err
    assert json.loads((cut_off / "study.json").read_text())["seeds"] == [0]
