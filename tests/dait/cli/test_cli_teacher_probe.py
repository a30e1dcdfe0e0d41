from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., int]


@pytest.fixture(scope="module")
def study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(tiny_study, tmp_path_factory.mktemp("probed") / "study"))


def teacher_of(study: Path) -> str:
    return str(json.loads((study / "study.json").read_text())["recipe"]["teacher"]["name"])


@pytest.mark.slow
def test_a_study_is_measured_kept_and_told(
    command: Command, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("teacher", "probe", teacher_of(study), "--study", study, "--pairs", 10)
    assert command(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found == json.loads((study / "knowledge.json").read_text())
    assert found["retrieval"]["pairs"] == 10 and len(found["networks"]) == 9
    assert command(*words) == 0
    told = capsys.readouterr().out
    top1 = f"top-1 {found['zero_shot']['top1']['value']:.1%}"
    assert top1 in told and "image → caption" in told and "DAIT, seed 1" in told
    assert told.count("habitat (from new birds)") == 9


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--pairs", 3), "--pairs wants 10 to 100000"),
        (("--data", "fieldguide"), "brings its own data"),
        (("--size", 64), "brings its own data"),
    ],
)
def test_options_that_will_not_do(
    command: Command,
    study: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[object, ...],
    says: str,
) -> None:
    assert command("teacher", "probe", teacher_of(study), "--study", study, *options) == 2
    assert says in capsys.readouterr().err


def test_the_teacher_of_another_study(
    command: Command, study: Path, clip_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = f"openclip-local:{clip_folder}"
    assert command("teacher", "probe", other, "--study", study) == 2
    assert "was trained with the teacher" in capsys.readouterr().err


def test_a_teacher_alone_on_photographs(
    command: Command, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("cat", "dog", "eel"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                noise = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(noise).save(tmp_path / split / name / f"{number}.png")
    teacher = f"openclip-local:{clip_folder}"
    assert command("teacher", "probe", teacher, "--data", tmp_path, "--size", 32, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["teacher"] == teacher and found["zero_shot"]["classes"] == 3
    assert found["retrieval"] is None and found["attributes"] is None
    assert [row["key"] for row in found["networks"]] == ["vlm"]
