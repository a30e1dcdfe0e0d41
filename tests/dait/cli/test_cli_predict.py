"""``python -m dait predict`` on a real study folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dait.cli import main
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder


@pytest.fixture
def photos(tiny_study: Path, tmp_path: Path) -> list[Path]:
    comparison = Comparison(StudyFolder(tiny_study))
    paths = [tmp_path / f"bird {index}.png" for index in range(2)]
    for index, path in enumerate(paths):
        Image.fromarray(comparison.test_image(index)[0]).save(path)
    return paths


def test_photographs_are_named_by_every_network(
    tiny_study: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "out.csv"
    arguments = ["predict", str(tiny_study), "--image", *map(str, photos), "--top", "2"]
    assert main([*arguments, "--csv", str(table), "--json"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [image["image"] for image in line["images"]] == [str(photo) for photo in photos]
    assert line["problems"] == []
    with np.load(tiny_study / "direct-s0" / "predictions.npz") as file:
        logits = file["logits"]
    for index, image in enumerate(line["images"]):
        networks = {network["network"]: network["top"] for network in image["networks"]}
        assert len(networks) == 5 and all(len(top) == 2 for top in networks.values())
        assert networks["direct-s0"][0]["index"] == int(logits[index].argmax())
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 5 * 2
    best = line["images"][1]["networks"][-1]["top"][0]
    row = next(r for r in rows if (r["image"], r["network"]) == (str(photos[1]), "dait-s0"))
    assert (row["rank"], row["class"], row["name"]) == ("1", best["key"], best["name"])
    assert float(row["probability"]) == pytest.approx(best["probability"], abs=1e-6)


def test_a_bad_photograph_is_reported_and_the_rest_goes_on(
    tiny_study: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"%PDF-1.7")
    files = [str(photos[0]), str(bad), str(tmp_path / "absent.png"), str(photos[1])]
    assert main(["predict", str(tiny_study / "dait-s0"), "--image", *files, "--json"]) == 2
    shown = capsys.readouterr()
    assert "‘bad.jpg’ is a PDF document" in shown.err and "‘absent.png’ cannot be read" in shown.err
    line = json.loads(shown.out.splitlines()[-1])
    assert [image["image"] for image in line["images"]] == [files[0], files[3]]
    assert [problem["image"] for problem in line["problems"]] == files[1:3]
    names = [network["network"] for network in line["images"][0]["networks"]]
    assert names == ["intermediate", "dait-s0"]


def test_nothing_to_look_at_is_a_sentence(
    tiny_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    assert main(["predict", str(tiny_study), "--image", str(bad)]) == 2
    assert capsys.readouterr().err.strip().endswith("‘bad.jpg’ is empty (0 bytes).")
    assert main(["predict", str(tiny_study), "--image", str(bad), str(bad)]) == 2
    assert "None of the 2 photographs can be read" in capsys.readouterr().err
    assert main(["predict", str(tmp_path), "--image", str(bad)]) == 2
    assert "should be the folder of a study" in capsys.readouterr().err
    assert main(["predict", str(tiny_study), "--image", str(bad), "--top", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


def test_a_photograph_unlike_anything_trained_on_is_said_to_be(
    copied: Path, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).choice([0, 255], (*Image.open(photos[0]).size, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(strange)
    files = [str(photos[0]), str(strange)]
    assert main(["predict", str(copied), "--image", *files, "--json"]) == 0
    shown = capsys.readouterr()
    bird, other = json.loads(shown.out.splitlines()[-1])["images"]
    unlike = {network["network"]: network["unlike"] for network in other["networks"]}
    assert unlike.pop("vlm") is None and len(unlike) == 4 and all(unlike.values())
    familiar = [network["unlike"] for network in bird["networks"]]
    assert familiar.count(False) >= 3
    assert shown.out.count("unlike anything it was trained on") == 4 + familiar.count(True)
    assert (copied / "dait-s0" / "familiarity.npz").exists()
