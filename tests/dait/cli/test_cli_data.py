"""``data list`` and ``data preview`` as a script and as a person use them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dait.cli import data
from dait.errors import UserError


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    data.register(parser.add_subparsers(required=True))
    args = parser.parse_args(words)
    return int(args.run(args))


def last_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "pets"
    for name, colour in (("cat", "grey"), ("dog", "brown")):
        for split in ("train", "val", "test"):
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (40, 30), colour).save(root / split / name / f"{number}.jpg")
    (root / "test" / "dog" / "broken.jpg").write_text("no dog")
    (root / "test" / "dog" / "notes.txt").touch()
    return root


def test_list_names_the_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "list") == 0
    out = capsys.readouterr().out
    assert "fieldguide" in out and "class/*.jpg" in out
    assert run("data", "list", "--json") == 0
    assert last_json(capsys)["datasets"][0]["name"] == "fieldguide"


def test_preview_counts_checks_and_draws(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheets" / "grid.png"
    assert run("data", "preview", str(folder), "--size", "32", "--out", str(out)) == 0
    captured = capsys.readouterr()
    assert "2 classes; 4 train, 4 val, 4 test images" in captured.out
    assert "test/dog/broken.jpg is a text file" in captured.out
    assert "1 .txt" in captured.out
    assert "Decoding the test photographs" in captured.err and "Decoding" not in captured.out
    with Image.open(out) as sheet:
        assert sheet.width > 64


def test_preview_for_machines(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "grid.jpg")
    words = ("data", "preview", str(folder), "--split", "test", "--out", out, "--json")
    assert run(*words) == 0
    facts = last_json(capsys)
    assert facts["counts"] == {"train": 4, "val": 4, "test": 4}
    assert [(info["key"], info["count"]) for info in facts["classes"]] == [("cat", 2), ("dog", 2)]
    assert [problem["file"] for problem in facts["problems"]] == ["test/dog/broken.jpg"]
    assert facts["ignored"] == {".txt": 1}
    assert facts["sheet"] == out and Path(out).is_file()


def test_mistakes_are_sentences(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image file"):
        run("data", "preview", str(folder), "--out", str(tmp_path / "grid.pdf"))
    with pytest.raises(UserError, match="cannot be written"):
        run("data", "preview", str(folder), "--out", str(folder / "test/dog/notes.txt/grid.png"))
    with pytest.raises(UserError, match="There is no folder"):
        run("data", "preview", str(tmp_path / "nowhere"), "--out", str(tmp_path / "grid.png"))
