"""A study's runs as tasks of a Ray that is started on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cut_off import whole

from dait.cli import main
from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import ignore
from dait.runs.folder import StudyFolder
from dait.study.ray_executor import check_room
from dait.study.train import run_study

Tell = Callable[..., str]


def test_without_ray_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    out = tmp_path / "study"
    assert main(["study", "tiny", "--executor", "ray", "--out", str(out)]) == 2
    assert "needs the package ray: pip install" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("cpus", [0.0, -1.0, 2.5])
def test_processors_that_the_cluster_has_not_got(cpus: float) -> None:
    check_room({"CPU": 2.0}, 2.0)
    with pytest.raises(UserError, match=r"choose --cpus-per-run from above 0 to 2\."):
        check_room({"CPU": 2.0}, cpus)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ray_makes_the_same_study(
    small_recipe: Recipe, recipe_path: Path, tmp_path: Path, tell: Tell
) -> None:
    """One run fails, the other does not mind; then the first is trained again, on Ray too."""
    pytest.importorskip("ray")
    out = tmp_path / "ray"
    block = out / "independent-s0" / "student.safetensors"
    block.parent.mkdir(parents=True)
    block.write_bytes(b"in the way")
    words = ["--arms", "independent", "--seeds", "0,1", "--cpus-per-run", "0.5"]
    said = tell("study", recipe_path, *words, "--executor", "ray", "--out", out)
    assert "1 of 2 runs failed" in said and "already holds a run" in said
    assert "Traceback" not in said
    folder = StudyFolder(out)
    assert [run.state() for run in folder.runs()] == ["failed", "finished"]
    assert folder.state() == "failed"
    block.unlink()
    settings = json.loads(tell("study", "--resume", out, "--executor", "ray", "--json"))
    assert [(run["arm"], run["seed"]) for run in settings["runs"]] == [
        ("independent", 0), ("independent", 1),
    ]  # fmt: skip
    run_study(small_recipe, ["independent"], [0, 1], tmp_path / "here", ignore)
    assert whole(out) == whole(tmp_path / "here")
    assert os.getpid() not in {run.status()["pid"] for run in folder.runs()}
