"""``data list``, ``check`` and ``preview`` as a script and as a person use them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dait.cli import parse
from dait.data.folders.folder import open_folder
from dait.errors import UserError


def run(*words: str) -> int:
    args = parse(words)
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
    cards = last_json(capsys)["datasets"]
    assert cards[0]["name"] == "fieldguide" and cards[0]["available"] is True
    assert "cub-200-2011" in [card["name"] for card in cards]


def test_check_says_what_a_named_teacher_cannot_tell_apart(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "classes.csv").write_text(
        "class,coarse,description\ncat,,a zebra with a red crown\ndog,,a tiger with a red crown\n"
    )
    words = ("data", "check", str(folder), "--size", "32", "--teacher", "fieldguide-clip", "--json")
    assert run(*words) == 0
    found = last_json(capsys)
    assert found["teacher"] == "fieldguide-clip"
    (warning,) = found["teacher_warnings"]
    assert "‘cat’ and ‘dog’ apart" in warning and "‘tiger’ and ‘zebra’" in warning
    assert warning in found["warnings"]


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


def noise(file: Path, seed: int) -> None:
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(cells).resize((40, 40), Image.Resampling.BICUBIC).save(file)


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of 20 photographs, not split, nothing amiss but a text file among them."""
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    for label, name in enumerate(("cat", "dog")):
        for number in range(20):
            noise(tmp_path / "pets" / name / f"{number:02}.png", 100 * label + number)
    (tmp_path / "pets" / "dog" / "notes.txt").touch()
    return tmp_path / "pets"


def test_check_of_a_folder_an_archive_and_a_table(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, table = pets.parent / "pets.zip", pets / "pets.csv"
    names = sorted(file.relative_to(pets).as_posix() for file in pets.rglob("*.png"))
    with zipfile.ZipFile(archive, "w") as packed:
        for name in names:
            packed.write(pets / name, f"pets/{name}")
    table.write_text("\n".join(["path;label", *(f"{name};{name[:3]}" for name in names)]))
    expected = {"classes": 2, "train": 28, "val": 4, "test": 8, "bad": [], "leaks": 0}
    for source in (pets, archive, table):
        assert run("data", "check", str(source), "--size", "32", "--json") == 0
        found = last_json(capsys)
        assert expected == {key: found[key] for key in expected}
        assert found["name"] == "pets" and found["warnings"] == []


def test_check_says_what_is_amiss(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, name in enumerate(("cat", "dog")):
        for split, seed in (("train", 0), ("val", 50), ("test", 70)):
            for number in range(10 if split == "train" else 2):
                noise(pets / split / name / f"{number}.png", 100 * label + seed + number)
        for file in (pets / name).iterdir():
            file.unlink()
        (pets / name).rmdir()
    (pets / "test/cat/copy.png").write_bytes((pets / "train/cat/3.png").read_bytes())
    (pets / "train/dog/9.png").write_text("<html>Not found</html>")
    assert run("data", "check", str(pets), "--size", "32", "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out.splitlines()[-1])
    assert {"classes", "train", "val", "test", "bad", "leaks", "warnings"} <= found.keys()
    assert found["bad"] == [
        {
            "file": "train/dog/9.png",
            "reason": "is a web page, not JPEG, PNG, WEBP, BMP, GIF or TIFF",
        }
    ]
    assert (found["train"], found["leaks"]) == (19, 1)
    assert len(found["warnings"]) == 3
    for words in (
        "2 classes; 19 train, 4 val, 5 test images",
        "test/cat/copy.png equals train/cat/3.png",
        "train/dog/9.png is a web page",
        "! 1 of 5 test images are also in train or val",
        "Files from 40 × 40 to 40 × 40 pixels",
    ):
        assert words in printed.out
    assert "Comparing the splits" in printed.err and "Comparing" not in printed.out


def test_check_without_json_prints_text_alone(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("data", "check", str(pets), "--size", "32") == 0
    out = capsys.readouterr().out
    assert out.endswith("Nothing is amiss.\n")
    assert "Left aside, being no photographs: 1 .txt" in out


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: root / "gone", "There is no folder"),
        (lambda root: "no-such-set", "There is no data set ‘no-such-set’"),
        (lambda root: (root / "one" / "cat").mkdir(parents=True) or root / "one", "no photographs"),
        (lambda root: Path(root / "bad.zip").write_bytes(b"PK") and root / "bad.zip", "archive"),
        (lambda root: Path(root / "t.csv").write_text("a,b") and root / "t.csv", "path,label"),
    ],
)
def test_check_where_nothing_is_usable(
    tmp_path: Path, make: Any, sentence: str, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("data", "check", make(tmp_path), "--json") == 2
    printed = capsys.readouterr()
    assert printed.out == "" and sentence in printed.err


def test_a_script_is_told_that_nothing_is_usable(
    pets: Path, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in pets.rglob("*.png"):
        file.write_text("no photograph")
    assert command("data", "check", pets, "--size", "32", "--json") == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "Traceback" not in printed.err
    assert printed.err.splitlines()[-1].startswith("dait: None of the 28 train photographs can be")


def test_check_takes_photographs_of_every_kind(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind is kept, and right; what is cut short is named with its reason."""
    red, cat = (230, 20, 20), pets / "cat"
    tall = Image.new("RGB", (60, 40), red)
    tall.paste((20, 20, 230), (0, 0, 30, 40))  # the left half blue
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right: the left half becomes the upper
    tall.save(cat / "exif.jpg", exif=turned, quality=95)
    Image.new("RGBA", (40, 40), (*red, 0)).save(cat / "alpha.png")
    deep = np.full((40, 40), 200 * 257, dtype=np.uint16)
    Image.fromarray(deep).save(cat / "deep.png")
    Image.new("RGB", (40, 40), red).quantize(4).save(cat / "palette.png")
    Image.new("CMYK", (40, 40), (0, 255, 255, 0)).save(cat / "cmyk.jpg", quality=95)
    frames = [Image.new("RGB", (40, 40), colour) for colour in (red, "green", "blue")]
    frames[0].save(cat / "moving.gif", save_all=True, append_images=frames[1:])
    (cat / "cut.png").write_bytes((cat / "01.png").read_bytes()[:-300])
    assert run("data", "check", str(pets), "--size", "32", "--json") == 0
    found = last_json(capsys)
    assert [problem["file"] for problem in found["bad"]] == ["cat/cut.png"]
    assert "damaged" in found["bad"][0]["reason"]
    assert found["train"] + found["val"] + found["test"] == 46

    dataset = open_folder(pets, 32)
    pixels = {}
    for name in ("train", "val", "test"):
        split = dataset.split(name)  # type: ignore[arg-type]
        pixels |= dict(zip(split.ids, split.images, strict=True))
    for name, place, colour in (
        ("exif.jpg", (4, 16), (20, 20, 230)),
        ("exif.jpg", (28, 16), red),
        ("alpha.png", (16, 16), (255, 255, 255)),
        ("deep.png", (16, 16), (200, 200, 200)),
        ("palette.png", (16, 16), red),
        ("cmyk.jpg", (16, 16), (255, 0, 0)),
        ("moving.gif", (16, 16), red),
    ):
        shown = pixels[f"cat/{name}"][place].astype(int)
        assert np.abs(shown - colour).max() <= 6, (name, shown)


def test_a_reader_that_has_read_enough_is_no_error(tmp_path: Path) -> None:
    """As in ``| head -1``: no traceback."""
    command = [sys.executable, "-u", "-m", "dait", "data", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
