from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

Command = Callable[..., int]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("cat", "dog", "eel"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for number in range(2):
                noise = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(noise).save(tmp_path / "pets" / split / name / f"{number}.png")
    return tmp_path / "pets"


def test_eval_measures_a_teacher(
    command: Command, clip_folder: Path, pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("teacher", "eval", f"openclip-local:{clip_folder}", "--data", pets, "--size", 32)
    assert command(*words, "--split", "test", "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["n"], found["split"], found["data"]) == (6, "test", str(pets))
    assert found["top1"] * 6 == pytest.approx(round(found["top1"] * 6)) and found["top5"] == 1
    assert command(*words, "--split", "val") == 0
    assert "on 6 val images" in capsys.readouterr().out


def test_eval_of_an_unknown_teacher(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("teacher", "eval", "clip") == 2
    assert "no teacher called 'clip'" in capsys.readouterr().err


def test_pretrain_writes_a_teacher(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vision = {
        "timm_model_name": "fieldguide_hybrid_vit",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "linear",
        "image_size": 64,
    }
    text = {"context_length": 40, "vocab_size": 0, "width": 8, "heads": 1, "layers": 1}
    recipe = {
        "architecture": {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text},
        "steps": 1,
        "pool": 8,
        "batch_size": 8,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "teacher"
    words = ("teacher", "pretrain", "--recipe", tmp_path / "recipe.yaml", "--out", out)
    assert command(*words) == 0
    assert (out / "model.safetensors").is_file() and (out / "vocabulary.json").is_file()
    (tmp_path / "recipe.yaml").write_text("stepz: 3")
    assert command(*words) == 2
    assert "cannot be used" in capsys.readouterr().err
