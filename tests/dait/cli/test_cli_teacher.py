from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from dait.teachers.zero_shot_figures import known_zero_shot

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


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures and no weights of other tests, and no connection."""
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_eval_measures_a_teacher(
    command: Command, clip_folder: Path, pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("teacher", "eval", f"openclip-local:{clip_folder}", "--data", pets, "--size", 32)
    assert command(*words, "--split", "test", "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["teacher"] == f"openclip-local:{clip_folder}"
    assert (found["n"], found["split"], found["data"]) == (6, "test", str(pets))
    assert found["top1"] * 6 == pytest.approx(round(found["top1"] * 6)) and found["top5"] == 1
    low, high = found["interval"]
    assert 0 <= low <= found["top1"] <= high <= 1
    assert command(*words, "--split", "val") == 0
    assert "on 6 val images" in capsys.readouterr().out
    (val, test) = known_zero_shot(found["teacher"])
    assert (val.split, test.split, test.data, test.n) == ("val", "test", str(pets), 6)
    assert test.top1 == found["top1"] and test.interval == (low, high)


def test_eval_with_templates(command: Command, clip_folder: Path, pets: Path) -> None:
    name = f"openclip-local:{clip_folder}"
    words = ("teacher", "eval", name, "--data", pets, "--size", 32)
    assert command(*words) == 0
    assert command(*words, "--template", "a drawing of a {}", "--template", "simple") == 0
    assert len({figures.prompts for figures in known_zero_shot(name)}) == 2
    assert command(*words, "--template", "no slot") == 2


def test_eval_of_what_is_not_there(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("teacher", "eval", "clip") == 2
    assert "no teacher called 'clip'" in capsys.readouterr().err
    # The teacher's absence is told before the data set's, which would be read in vain.
    words = ("openclip:ViT-B-32/openai", "--data", tmp_path / "none")
    assert command("teacher", "eval", *words) == 2
    said = capsys.readouterr()
    assert "605 MB" in said.err and said.err.count("\n") == 1 and said.out == ""


def test_list_searches_and_says_what_is_known(
    command: Command, pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("teacher", "list", "--search", "xxlarge soup laion2b", "--kind", "openclip") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("openclip:convnext_xxlarge/laion2b_s34b_b82k_augreg_soup ")
    assert "1,201 M parameters, 256 px, to download, about 4.8 GB" in line
    words = ("--data", pets, "--size", 32, "--split", "val")
    assert command("teacher", "eval", "fieldguide-clip", *words) == 0
    capsys.readouterr()
    assert command("teacher", "list", "--search", "fieldguide", "--json") == 0
    entry, generalist = json.loads(capsys.readouterr().out)["teachers"]
    assert entry["name"] == "fieldguide-clip" and entry["here"] is True
    assert generalist["name"] == "fieldguide-clip-generalist" and not generalist["zero_shot"]
    (figures,) = entry["zero_shot"]
    assert (figures["data"], figures["split"]) == (str(pets), "val")
    assert command("teacher", "list", "--here", "--search", "fieldguide") == 0
    assert "on this machine, top-1 " in capsys.readouterr().out


def test_list_without_a_search_leaves_timm_out_and_says_so(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("teacher", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 190 and not any(line.startswith("timm:") for line in lines)
    assert "--kind timm" in lines[-1]
    assert command("teacher", "list", "--search", "dinov2 giant lvd142m") == 0
    assert "timm:vit_giant_patch14_dinov2.lvd142m" in capsys.readouterr().out
    assert command("teacher", "list", "--search", "there is none") == 0
    assert "try fewer" in capsys.readouterr().out


def test_fetch_of_what_needs_none_and_of_what_cannot_be_had(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("teacher", "fetch", "fieldguide-clip") == 0
    assert "needs no download" in capsys.readouterr().out
    assert command("teacher", "fetch", "timm:resnet18") == 2
    assert "timm:resnet18 are not on this machine" in capsys.readouterr().err


@pytest.mark.slow
def test_pretrain_writes_a_teacher(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vision = {
        "timm_model_name": "fieldguide_vit16",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "linear",
        "image_size": 96,
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
