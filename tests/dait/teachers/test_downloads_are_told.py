"""Commands that need a teacher tell how far its download is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import HubServer

from dait.cli import main
from dait.config.recipe import Recipe

NAME = "openclip:hf-hub:tiny/clip"


@pytest.fixture
def recipe_path(small_recipe: Recipe, tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(small_recipe.changed({"teacher.name": NAME}).to_yaml())
    return path


@pytest.mark.parametrize("command", ["probe", "build"])
def test_a_download_is_told(
    command: str,
    hub: HubServer,
    clip_files: dict[str, bytes],
    recipe_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    hub.repos["tiny/clip"] = clip_files
    words = {
        "probe": ["teacher", "probe", NAME, "--data", str(tmp_path / "no photographs")],
        "build": ["cache", "build", str(recipe_path), "--views", "1"],
    }[command]
    # The probe's data are not there: that is said last, after the download.
    assert main(words) == (2 if command == "probe" else 0)
    told = capsys.readouterr().err
    assert "Downloading tiny/clip" in told
