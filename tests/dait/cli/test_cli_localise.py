"""``python -m dait localise`` on a real study folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dait.cli import main


def test_a_study_is_measured_printed_and_kept(
    tiny_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "study")
    assert main(["localise", str(study), "--images", "8", "--road", "0", "--json"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)[str(study)]
    assert found["sample"] == 8 and len(found["networks"]) == 9
    kept = json.loads((study / "localisation.json").read_text())
    assert kept["measurements"] == [found]
    area = f"{found['area']['value']:.1%}"
    assert f"relevance on the object (share of the image: {area})" in lines
    dait = next(arm for arm in found["arms"] if arm["role"] == "dait")
    printed = next(line for line in lines if line.startswith("  DAIT") and "gradcam" in line)
    assert f"{dait['estimates']['mass']['value']:.1%}" in printed and "seeds" in printed
    assert any(line.startswith("  DAIT − Direct distillation: ") for line in lines)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--images", "1"], "--images is a number from 2"),
        (["--road", "-1"], "--road is a number from 0"),
        (["--method", "saliency"], "choose one of gradcam"),
    ],
)
def test_what_a_user_can_mend_is_a_sentence(
    tiny_study: Path, capsys: pytest.CaptureFixture[str], change: list[str], sentence: str
) -> None:
    assert main(["localise", str(tiny_study), *change]) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_of_neither_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["localise", str(tmp_path)]) == 2
    assert "should be the folder of a study" in capsys.readouterr().err
