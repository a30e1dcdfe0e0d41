"""The command line's manners: help, mistakes as sentences, options that reach the recipe."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dait.cli.commands import COMMANDS, Group
from dait.cli.options import add_recipe_options, chosen_recipe
from dait.cli.study import parse_arms, parse_seeds
from dait.errors import UserError

Command = Callable[..., int]

ALL = [
    [],
    *(name.split() for name in COMMANDS),
    *([name, action] for name, group in COMMANDS.items() if isinstance(group, Group)
      for action in group.commands),
]  # fmt: skip


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help(
    words: list[str], command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command(*words, "--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: python -m dait") and "-h, --help" in text
    assert len(text.splitlines()) >= 5


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys\nfrom dait.cli import main\n"
        "for words in (['--help'], ['bench'], ['study', '--help'], ['study', 'plan', '--help']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'open_clip', 'gradio', 'sklearn', 'torchvision'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [["tain"], ["data", "lisst"], ["data"], ["--json"]], ids=" ".join)
def test_unknown_words_are_answered_with_the_known_ones(
    words: list[str], command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command(*words)
    assert caught.value.code == 2
    assert "usage: python -m dait" in capsys.readouterr().err


def test_a_command_of_the_sources_is_refused_where_they_are_not(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [])
    assert command("bench", "demo") == 2
    assert "Run `python -m dait bench demo` in a clone" in capsys.readouterr().err


def test_the_module_runs_and_mistakes_have_no_traceback(tmp_path: Path) -> None:
    words = ["study", "tinny", "--out", str(tmp_path / "x")]
    done = subprocess.run(
        [sys.executable, "-m", "dait", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("dait: There is no recipe called 'tinny'. Did you mean tiny? Known: ")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--arms", "dait,dajt"], "There is no arm called 'dajt'. Known: independent, direct"),
        (["--arms", ","], "Name at least one arm"),
        (["--seeds", "0,x"], "Seeds are whole numbers separated by commas, not '0,x'"),
        (["--seeds", "-1"], "Seeds are whole numbers from 0"),
        (["--set", "train.epochs"], "--set wants KEY=VALUE"),
        (["--set", "train.epoch=2"], "unknown key 'epoch'. Did you mean epochs"),
        (["--set", "train.epochs=[1"], "--set train.epochs: '[1' is not a value in YAML"),
        (["--set", "train.learning_rate=fast"], "train.learning_rate: found 'fast'"),
        (["--epochs", "0"], "train.epochs: found 0"),
        (["--data", "no/such/folder"], "There is no folder"),
        (["--data", "fieldgide"], "Did you mean ‘fieldguide’"),
        (["--set", "teacher.name=x"], "There is no teacher called 'x'"),
        (["--set", "student.name=resnet1O"], "There is no network “resnet1O”"),
    ],
)
def test_a_mistake_is_a_sentence_and_code_2(
    words: list[str],
    sentence: str,
    command: Command,
    recipe_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = command("study", recipe_file, *words, "--out", tmp_path / "out", "--json")
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    assert sentence in captured.err and "Traceback" not in captured.err
    assert captured.err.splitlines()[-1].startswith(("dait: ", "  "))


@pytest.mark.parametrize("text", ["train: [", "", "trian: {epochs: 1}"])
def test_a_bad_recipe_file_is_a_sentence_and_code_2(
    text: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert command("train", tmp_path / "bad.yaml", "--out", tmp_path / "out") == 2
    assert "bad.yaml" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_negative_seed_is_a_sentence(
    command: Command, recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", recipe_file, "--seed", "-3") == 2
    assert "Seeds are whole numbers from 0" in capsys.readouterr().err


def test_arms_and_seeds() -> None:
    assert parse_arms("dait, direct,dait") == ["dait", "direct"]
    assert parse_seeds("2,0,2, 1") == [2, 0, 1]
    for text in ("", " ,"):
        with pytest.raises(UserError):
            parse_arms(text)
        with pytest.raises(UserError):
            parse_seeds(text)
    with pytest.raises(UserError, match="2147483648"):
        parse_seeds("2147483649")


def test_options_change_the_recipe() -> None:
    parser = argparse.ArgumentParser()
    add_recipe_options(parser)
    words = ["tiny", "--data", "some/folder", "--epochs", "7", "--set", "views.kind=light",
             "--set", "student.options.channels=[4, 4, 4, 4]", "--set",
             "train.learning_rate=1e-3"]  # fmt: skip
    recipe = chosen_recipe(parser.parse_args(words))
    assert (recipe.data.source, recipe.train.epochs, recipe.views.kind) == (
        str(Path("some/folder").absolute()), 7, "light",
    )  # fmt: skip
    assert recipe.student.options["channels"] == [4, 4, 4, 4]
    assert recipe.train.learning_rate == 0.001


def last_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    found = json.loads(lines[0])
    assert isinstance(found, dict)
    return found


def test_train_trains_one_arm(
    command: Command, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", recipe_file, "--arm", "direct", "--seed", 4, "--epochs", 1)
    assert command(*words, "--out", tmp_path / "one", "--json") == 0
    row = last_json(capsys)
    assert (row["arm"], row["seed"], row["dir"]) == (
        "direct", 4, str(tmp_path / "one" / "direct-s4"),
    )  # fmt: skip
    kept = json.loads((tmp_path / "one" / "direct-s4" / "result.json").read_text())
    assert row["top1"] == kept["top1"]
    # A second time into the same folder is refused, and nothing is touched.
    assert command(*words, "--out", tmp_path / "one") == 2
    assert "already holds a study" in capsys.readouterr().err
    assert json.loads((tmp_path / "one" / "direct-s4" / "result.json").read_text()) == kept


def test_without_a_folder_a_new_one_is_made_in_the_runs_folder(
    command: Command,
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DAIT_RUNS", str(tmp_path / "runs"))
    assert command("study", recipe_file, "--arms", "independent", "--epochs", 1) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("small-2")
    out = capsys.readouterr().out
    assert f"runs/{folder.name}: 1 runs finished" in out and "independent  seed 0  top-1" in out
