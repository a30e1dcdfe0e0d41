"""``python -m dait explain`` on a real study folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dait.cli import main
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.cam import METHODS
from dait.runs.folder import StudyFolder

KEYS = ["vlm", "intermediate", "independent-s0", "direct-s0", "dait-s0"]


@pytest.fixture(scope="module")
def photo(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    image, _ = Comparison(StudyFolder(tiny_study)).test_image(3)
    path = tmp_path_factory.mktemp("photos") / "bird.png"
    Image.fromarray(image).save(path)
    return path


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_study_is_explained_in_one_picture(
    tiny_study: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, maps = tmp_path / "new" / "row.png", tmp_path / "maps.npz"
    arguments = ["explain", str(tiny_study), "--image", str(photo), "--out", str(out)]
    assert main([*arguments, "--npz", str(maps), "--json"]) == 0
    line = last_line(capsys)
    assert [network["network"] for network in line["networks"]] == KEYS
    expected = {
        c.member.key: c for c in Comparison(StudyFolder(tiny_study)).explain(_pixels(photo))
    }
    with np.load(maps) as file:
        assert set(file.files) == {"image", *KEYS}
        np.testing.assert_array_equal(file["image"], _pixels(photo))
        for network in line["networks"]:
            raw = file[network["network"]]
            np.testing.assert_allclose(raw, expected[network["network"]].raw, rtol=1e-5)
            assert network["map"] == list(raw.shape)
            assert network["maximum"] == pytest.approx(float(raw.max()))
            assert network["target"]["index"] == network["top"][0]["index"]
    with Image.open(out) as picture:
        assert picture.width > 6 * 200 and picture.height > 200


def _pixels(photo: Path) -> np.ndarray:
    with Image.open(photo) as image:
        return np.array(image)


def test_the_target_is_a_key_a_name_or_a_number(
    tiny_study: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = Comparison(StudyFolder(tiny_study)).classes[1]
    arguments = ["explain", str(tiny_study), "--image", str(photo), "--json"]
    arguments += ["--out", str(tmp_path / "row.png"), "--method", "hirescam", "--seed", "1"]
    for text in (info.key, info.name, "1"):
        assert main([*arguments, "--target", text]) == 0
        networks = last_line(capsys)["networks"]
        assert {network["target"]["key"] for network in networks} == {info.key}
        assert networks[-1]["network"] == "dait-s1"
    assert main([*arguments, "--target", info.key[:-1]]) == 2
    assert f"Did you mean {info.key}" in capsys.readouterr().err


def test_a_sentence_is_explained_by_the_teacher_that_reads(
    tiny_study: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--image", str(photo), "--out", str(tmp_path / "row.png"), "--json"]
    arguments += ["--target", "a bird with a red crown", "--npz", str(tmp_path / "maps.npz")]
    assert main(["explain", str(tiny_study), *arguments]) == 0
    vlm, *others = last_line(capsys)["networks"]
    assert vlm["sentence"] == "a bird with a red crown" and -1 <= vlm["similarity"] <= 1
    assert vlm["target"] is None and vlm["note"] == ""
    assert all("knows classes, not words" in network["note"] for network in others)
    with np.load(tmp_path / "maps.npz") as file:
        assert set(file.files) == {"image", "vlm"}
    assert main(["explain", str(tiny_study / "dait-s0"), *arguments]) == 2
    assert "only a teacher that reads text can look for" in capsys.readouterr().err


def test_a_test_image_is_explained_by_its_true_class(
    tiny_study: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = Comparison(StudyFolder(tiny_study))
    image, label = comparison.test_image(3)
    arguments = ["explain", str(tiny_study), "--out", str(tmp_path / "row.png"), "--json"]
    maps = ["--npz", str(tmp_path / "maps.npz")]
    assert main([*arguments, "--index", "3", "--target", "true", *maps]) == 0
    networks = last_line(capsys)["networks"]
    assert {network["target"]["key"] for network in networks} == {comparison.classes[label].key}
    with np.load(tmp_path / "maps.npz") as file:
        np.testing.assert_array_equal(file["image"], image)
    assert main([*arguments, "--image", str(photo), "--target", "true"]) == 2
    assert "--target true goes with --index" in capsys.readouterr().err
    assert main(["explain", str(tiny_study / "dait-s0"), "--index", "3"]) == 2
    assert "--index is a test image of a study" in capsys.readouterr().err


def test_the_layer_is_chosen_by_name(
    tiny_study: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["explain", str(tiny_study / "dait-s0"), "--image", str(photo)]
    run += ["--out", str(tmp_path / "row.png"), "--json"]
    assert main([*run, "--layer", "layer1"]) == 0
    assert [network["map"] for network in last_line(capsys)["networks"]] == [[12, 12]] * 2
    assert main([*run, "--layer", "layr1"]) == 2
    error = capsys.readouterr().err
    assert "Did you mean layer1" in error and "layer2, layer3, layer4" in error


def test_runs_of_several_studies_stand_side_by_side(
    tiny_study: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(tiny_study / "direct-s1", tmp_path / "elsewhere" / "direct-s0")
    folders = [str(tiny_study / "dait-s0"), str(tiny_study / "direct-s0"), str(other)]
    arguments = ["--image", str(photo), "--out", str(tmp_path / "row.webp"), "--json"]
    maps = tmp_path / "maps.npz"
    assert main(["explain", *folders, *arguments, "--npz", str(maps)]) == 0
    names = [network["network"] for network in last_line(capsys)["networks"]]
    assert names == ["1/dait-s0/intermediate", "2/dait-s0", "3/direct-s0", "4/direct-s0"]
    with np.load(maps) as file:
        assert set(file.files) == {"image", *names}
        assert not np.array_equal(file["3/direct-s0"], file["4/direct-s0"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--image", "absent.jpg"], "‘absent.jpg’ cannot be read (No such file"),
        (["--out", "row.txt"], "End it with .png"),
        (["--method", "saliency"], "choose one of gradcam"),
        (["--seed", "9"], "no run to open with seed 9"),
    ],
)
def test_what_a_user_can_mend_is_a_sentence(
    tiny_study: Path,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    sentence: str,
) -> None:
    arguments = ["explain", str(tiny_study), "--image", str(photo)]
    arguments += ["--out", str(tmp_path / "row.png")]
    assert main([*arguments, *change]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "row.png").exists()


def test_a_text_file_is_no_image(
    tiny_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.jpg").write_text("not a photograph")
    assert main(["explain", str(tiny_study), "--image", str(tmp_path / "bad.jpg")]) == 2
    assert "‘bad.jpg’ is a text file" in capsys.readouterr().err


def test_a_missing_teacher_leaves_the_other_networks(
    tiny_study: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Path(shutil.copytree(tiny_study, tmp_path / "study"))
    description = json.loads((study / "study.json").read_text())
    description["recipe"]["teacher"]["name"] = "openclip-local:/nowhere/at-all"
    (study / "study.json").write_text(json.dumps(description))
    out = tmp_path / "row.png"
    assert main(["explain", str(study), "--image", str(photo), "--out", str(out), "--json"]) == 0
    networks = {network["network"]: network for network in last_line(capsys)["networks"]}
    assert "is not an OpenCLIP folder" in networks["vlm"]["note"]
    assert networks["dait-s0"]["note"] == "" and networks["dait-s0"]["maximum"] > 0
    for student in study.glob("*/*.safetensors"):
        student.write_bytes(b"gone")
    assert main(["explain", str(study), "--image", str(photo), "--out", str(out)]) == 2


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    text = capsys.readouterr().out
    assert all(method in text for method in METHODS)
