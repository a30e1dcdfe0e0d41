"""An exported student is the same student, in every form, by whole image files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
import yaml
from PIL import Image

from dait.bundle.export import Bundle, export_run
from dait.bundle.graph import logits_of, open_graph
from dait.cli import main
from dait.errors import UserError
from dait.models.checkpoint import load_network
from dait.models.network import Network
from dait.runs.folder import RunFolder

pytestmark = pytest.mark.slow

FILES = {
    *("model.safetensors", "model.fp16.safetensors", "model.onnx", "model.int8.onnx"),
    *("config.json", "labels.json", "preprocess.json", "deployment.json"),
    *("README.md", "predict.py"),
}


@pytest.fixture(scope="module")
def student(tiny_study: Path) -> Network:
    return load_network(tiny_study / "dait-s0" / "student.safetensors").network


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((5, 3, 48, 48), np.float32)


def expected(student: Network, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(student(torch.from_numpy(images)).logits.numpy())


def test_every_form_gives_the_answers_of_the_student(bundle: Bundle) -> None:
    assert set(bundle.files) == FILES
    assert all((bundle.folder / name).stat().st_size == size for name, size in bundle.files.items())
    for form in ("timm", "onnx", "predict"):
        assert bundle.agreement[form] == 1
        assert bundle.deployment["difference"][form] < 1e-4
        assert bundle.top1[form] == bundle.top1["torch"]
    assert bundle.agreement["int8"] >= 0.75
    assert bundle.files["model.int8.onnx"] < bundle.files["model.onnx"]
    assert bundle.deployment["bytes"]["fp16"] < bundle.deployment["bytes"]["torch"]
    latency = bundle.deployment["latency_ms"]
    assert all(0 < latency[form]["median"] <= latency[form]["p95"] for form in ("torch", "onnx"))


def test_timm_loads_the_weights_by_itself(
    bundle: Bundle, student: Network, images: np.ndarray
) -> None:
    config = json.loads((bundle.folder / "config.json").read_text())
    weights = bundle.folder / "model.safetensors"
    named = timm.create_model(
        config["architecture"],
        checkpoint_path=str(weights),
        num_classes=config["num_classes"],
        **config["model_args"],
    )
    # As timm loads what is on the Hub: from the folder alone.
    from_folder = timm.create_model(f"local-dir:{bundle.folder}", pretrained=True)
    mean, std = (
        np.array(config["pretrained_cfg"][name], np.float32)[:, None, None]
        for name in ("mean", "std")
    )
    pixels = torch.from_numpy((images - mean) / std)
    for model in (named, from_folder):
        with torch.no_grad():
            found = model.eval()(pixels)
        np.testing.assert_allclose(found, expected(student, images), rtol=1e-4, atol=1e-4)


def test_the_code_of_the_card_loads_them_too(
    bundle: Bundle, student: Network, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = (bundle.folder / "README.md").read_text()
    code = re.search(r"```python\n(.+?)```", card, re.DOTALL)
    assert code is not None
    monkeypatch.chdir(bundle.folder)
    made: dict[str, Any] = {}
    exec(code[1], made)
    normalised = (torch.from_numpy(images) - student.mean) / student.std
    with torch.no_grad():
        found = made["model"](normalised)
    np.testing.assert_allclose(found, expected(student, images), rtol=1e-4, atol=1e-4)


def test_the_card_says_what_the_figures_are_of(bundle: Bundle, tiny_study: Path) -> None:
    card = (bundle.folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["pipeline_tag"] == "image-classification" and front["library_name"] == "timm"
    result = RunFolder(tiny_study / "dait-s0").result()
    assert result is not None
    (measured,) = front["model-index"][0]["results"]
    assert measured["dataset"]["split"] == "test"
    assert measured["metrics"][0]["value"] == pytest.approx(result["top1"], abs=1e-4)
    low, high = result["top1_interval"]
    assert f"{result['top1']:.1%} (95 % interval {low:.1%} to {high:.1%}" in card
    assert "Apache-2.0" in card
    for label in json.loads((bundle.folder / "labels.json").read_text()):
        assert label in card


def test_the_graph_takes_any_number_of_images_and_knows_its_classes(
    bundle: Bundle, student: Network, images: np.ndarray
) -> None:
    file = bundle.folder / "model.onnx"
    onnx.checker.check_model(str(file), full_check=True)
    session = open_graph(file)
    found = dict(
        zip(
            [output.name for output in session.get_outputs()],
            session.run(None, {"image": images}),
            strict=True,
        )
    )
    with torch.no_grad():
        ours = student(torch.from_numpy(images))
    for name, value in (("logits", ours.logits), ("features", ours.pooled), ("maps", ours.map)):
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-3)
    # A linear head over the mean of the map: what class activation maps are made of.
    linear = ours.map.mean((2, 3)).numpy() @ found["head"].T
    bias = found["logits"] - linear
    np.testing.assert_allclose(bias, np.broadcast_to(bias[0], bias.shape), atol=1e-2)
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["labels"]) == json.loads((bundle.folder / "labels.json").read_text())
    preprocess = json.loads((bundle.folder / "preprocess.json").read_text())
    assert json.loads(known["preprocess"]) == preprocess and preprocess["size"] == 48
    alone = logits_of(session, images[:1])
    np.testing.assert_allclose(alone, found["logits"][:1], rtol=1e-3, atol=1e-3)


def test_the_script_names_photographs_and_what_is_none(bundle: Bundle, tmp_path: Path) -> None:
    photo = tmp_path / "a photo.jpg"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 60, 3), np.uint8)).save(photo)
    (tmp_path / "notes.jpg").write_text("no image")
    files = [str(photo), str(tmp_path / "notes.jpg"), str(tmp_path / "absent.png"), str(photo)]
    done = subprocess.run(
        [sys.executable, bundle.folder / "predict.py", *files],
        capture_output=True,
        text=True,
        cwd="/",
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in lines] == [str(photo)] * 2 and done.returncode == 2
    assert "notes.jpg" in done.stderr and "absent.png" in done.stderr
    assert "Traceback" not in done.stderr
    labels = json.loads((bundle.folder / "labels.json").read_text())
    shares = [share for _, share in lines[0]["top"]]
    assert {label for label, _ in lines[0]["top"]} <= set(labels)
    assert shares == sorted(shares, reverse=True) and sum(shares) <= 1 + 1e-5
    assert isinstance(lines[0]["unlike"], bool)


def test_the_command_ends_with_the_line_for_scripts(
    tiny_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    run = tiny_study / "independent-s1"
    assert main(["export", str(run), "--to", str(target), "--json"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["dir"] == str(target)
    assert set(line["files"]) == {file.name for file in target.iterdir()}
    assert "model.onnx" not in line["files"] and "predict.py" not in line["files"]
    assert line["agreement"]["timm"] == 1 and set(line["top1"]) >= {"torch", "timm"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: run.write_status(state="training"), "only a finished run"),
        (lambda run: run.student.unlink(), "has no student.safetensors"),
        (lambda run: run.student.write_bytes(b"no weights"), "damaged"),
        (lambda run: (run.path / "config.yaml").unlink(), "is no run"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(
    copied: Path, tmp_path: Path, spoil: Any, said: str
) -> None:
    run = RunFolder(copied / "dait-s0")
    spoil(run)
    before = set(tmp_path.iterdir())
    with pytest.raises(UserError, match=said):
        export_run(run, tmp_path / "out")
    assert set(tmp_path.iterdir()) == before


def test_a_study_names_its_runs_and_a_folder_in_use_is_kept(
    tiny_study: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="independent-s0, direct-s0, dait-s0"):
        export_run(RunFolder(tiny_study), tmp_path / "out")
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UserError, match="exists already"):
        export_run(RunFolder(tiny_study / "dait-s0"), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_disk_without_room_is_said_in_a_sentence(tiny_study: Path, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from dait.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)); sys.exit(main(sys.argv[1:]))"
    )
    words = ["export", tiny_study / "dait-s0", "--to", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 2 and "Could not write" in done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == []
