"""One place decides where everything lies, for whoever asks and for whatever is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dait.cli import main
from dait.config.inputs import TeacherConfig
from dait.config.recipe import Recipe
from dait.data.sources.catalogue import absolute_source
from dait.errors import UserError
from dait.runs.folder import StudyFolder, runs_root
from dait.storage import paths
from dait.storage.cache import cache_dir
from dait.study.plan import begin_study
from dait.study.slurm import array_script

PROJECT = Path(paths.__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, and the home folder within it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("given", "found"), [("a/b", "a/b"), ("~/a", "home/a"), ("./a", "a")])
def test_every_folder_is_absolute_however_it_is_named(
    here: Path, given: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in paths.FOLDERS:
        monkeypatch.setenv(variable, given)
    assert runs_root().path == here / found
    assert cache_dir() == here / found
    assert paths.downloads_folder() == here / found
    told = paths.environment()
    assert {told[variable] for variable in paths.FOLDERS} == {str(here / found)}


def test_a_relative_folder_keeps_its_meaning_for_what_is_started(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that begins here and starts another one elsewhere."""
    script = (
        "import os, subprocess, sys\n"
        "from dait.storage.paths import make_absolute\n"
        "make_absolute()\n"
        "os.chdir('/')\n"
        "code = 'from dait.storage.paths import *; print(runs_folder(), downloads_folder())'\n"
        "subprocess.run([sys.executable, '-c', code], check=True)\n"
    )
    names = {"DAIT_RUNS": "studies", "DAIT_DOWNLOADS": "~/published", "PYTHONPATH": str(PROJECT)}
    told = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | names,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.split() == [str(here / "studies"), str(here / "home" / "published")]


def test_the_command_line_writes_into_the_runs_folder_and_finds_studies_there_by_name(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAIT_RUNS", "studies")
    assert main(["study", "plan", "tiny", "--arms", "direct", "--json"]) == 0
    study = Path(json.loads(capsys.readouterr().out.splitlines()[-1])["study"])
    assert study.parent == here / "studies" and (study / "study.json").is_file()
    assert main(["study", "finish", study.name]) == 2
    assert f"{study} is not finished" in capsys.readouterr().err


def test_a_study_at_a_path_goes_before_one_of_that_name(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_RUNS", "studies")
    StudyFolder(here / "studies" / "one").create({})
    assert paths.study_folder("one") == here / "studies" / "one"
    (here / "one").mkdir()  # somebody's folder, and no study
    assert paths.study_folder("one") == here / "studies" / "one"
    StudyFolder(here / "one").create({})
    assert paths.study_folder("one") == here / "one"
    assert paths.study_folder("none") == here / "none"
    (here / "studies" / "one" / "dait-s0").mkdir()
    (here / "studies" / "one" / "dait-s0" / "config.yaml").write_text("{}")
    assert paths.study_folder("one/dait-s0") == here / "studies" / "one" / "dait-s0"


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("fieldguide", "fieldguide"),
        ("hf:owner/name", "hf:owner/name"),
        ("fgvc-aircraft:family", "fgvc-aircraft:family"),
        ("photos.zip", None),
        ("table.csv", None),
        ("some/photos", None),
        ("photos", None),
    ],
)
def test_a_recipe_keeps_paths_absolute_and_names_as_they_are(
    here: Path, source: str, kept: str | None
) -> None:
    for name in ("photos", "fieldguide"):
        (here / name).mkdir()
    assert absolute_source(source) == (kept or str(here / source))


def test_a_local_teacher_is_found_again_from_any_folder(here: Path) -> None:
    assert TeacherConfig(name="openclip-local:clip").name == f"openclip-local:{here / 'clip'}"
    assert TeacherConfig(name="openclip-local:~/c").name == f"openclip-local:{here / 'home' / 'c'}"
    assert TeacherConfig(name="imagenet-lite0").name == "imagenet-lite0"


def test_a_batch_script_names_its_folders_whole(
    here: Path, small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", "my cache")
    plan = begin_study(small_recipe, ["dait"], [0], here / "study")
    assert f"export DAIT_CACHE='{here / 'my cache'}'\n" in array_script(plan, PROJECT)


def test_an_unknown_home_is_a_sentence() -> None:
    with pytest.raises(UserError, match="without ~"):
        paths.absolute("~nobody-of-this-name/runs")
