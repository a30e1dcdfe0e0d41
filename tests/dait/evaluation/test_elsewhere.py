"""A student on the images of other data: classes by name, and what it does not know left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dait.cli import main
from dait.data.fieldguide import open_fieldguide
from dait.errors import UserError
from dait.evaluation.elsewhere import evaluate_elsewhere
from dait.models.checkpoint import load_network
from dait.runs.folder import RunFolder


@pytest.fixture
def run(tiny_study: Path) -> RunFolder:
    return RunFolder(tiny_study / "dait-s0")


def test_classes_are_matched_by_name(run: RunFolder) -> None:
    data = open_fieldguide(size=48, species=6, train_per_class=1, val_per_class=1, test_per_class=2)
    found = evaluate_elsewhere(run, data)
    assert (found.images, found.unknown, found.classes, found.of) == (16, 8, 4, 4)
    loaded = load_network(run.student)
    right = 0
    for name in ("train", "val", "test"):
        split = data.split(name)
        for image, label in zip(split.images, split.labels, strict=True):
            key = data.classes[label].key
            if key not in loaded.classes:
                continue
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad():
                answer = int(loaded.network(pixels).logits.argmax())
            right += loaded.classes[answer] == key
    assert found.figures["top1"] == pytest.approx(right / 16)


def test_the_command_takes_a_folder_and_refuses_other_classes(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = load_network(run.student).classes[0]
    rng = np.random.default_rng(0)
    for name in (key, "teapot"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 255, (60, 60, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    words = ["evaluate", str(run.path), "--on", str(tmp_path / "photos"), "--json"]
    assert main(words) == 0
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["runs"]
    assert (row["images"], row["unknown"]) == (4, 4)
    (tmp_path / "photos" / key).rename(tmp_path / "photos" / "kettle")
    assert main(words) == 2
    assert "None of the 2 classes" in capsys.readouterr().err


def test_a_run_without_weights_is_refused(run: RunFolder, tmp_path: Path) -> None:
    data = open_fieldguide(size=48, species=2, train_per_class=1, val_per_class=1, test_per_class=1)
    with pytest.raises(UserError, match=r"has no student\.safetensors"):
        evaluate_elsewhere(RunFolder(tmp_path), data)
