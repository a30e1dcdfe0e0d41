"""A folder opened as a row of networks: a study, a run, or neither."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from dait.data.images.decode import decode_picture
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.row import NetworkRow
from dait.evidence.open_row import open_row
from dait.models.checkpoint import load_network
from dait.runs.folder import StudyFolder


def test_a_study_opens_as_a_comparison_and_a_run_as_its_networks(tiny_study: Path) -> None:
    assert isinstance(open_row(tiny_study, 1), Comparison)
    run = open_row(tiny_study / "dait-s0")
    assert type(run) is NetworkRow
    assert [member.key for member in run.members] == ["intermediate", "dait-s0"]
    assert run.image_size == 48
    image = run.prepare(Image.new("RGB", (64, 64), "green"))
    whole = {c.member.key: c for c in Comparison(StudyFolder(tiny_study)).explain(image)}
    for cell in run.explain(image):
        np.testing.assert_allclose(cell.raw, whole[cell.member.key].raw, rtol=1e-5)


def test_a_photograph_is_cut_as_the_run_learned_it(tiny_study: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_study / "direct-s0", tmp_path / "mine"))
    noise = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    config = yaml.safe_load((run / "config.yaml").read_text())
    old = {**config["data"], "source": "photos"}
    new = {**old, "crop_pct": 0.8, "fit": "letterbox"}
    for key in ("crop_pct", "fit"):
        old.pop(key, None)
    for data, framing in ((new, Framing(48, 0.8, "letterbox")), (old, Framing(48))):
        (run / "config.yaml").write_text(yaml.safe_dump({**config, "data": data}))
        expected = decode_picture(Image.fromarray(noise), framing)
        np.testing.assert_array_equal(open_row(run).prepare(noise), expected)
    (run / "config.yaml").unlink()
    np.testing.assert_array_equal(open_row(run).prepare(noise), expected)


def test_a_run_names_its_classes_from_its_study_or_by_their_keys(
    tiny_study: Path, tmp_path: Path
) -> None:
    run = tiny_study / "direct-s0"
    assert open_row(run).classes == Comparison(StudyFolder(tiny_study)).classes
    alone = open_row(Path(shutil.copytree(run, tmp_path / "mine")))
    keys = load_network(run / "student.safetensors").classes
    assert [(info.key, info.name) for info in alone.classes] == [(key, key) for key in keys]
    assert [member.key for member in alone.members] == ["mine"]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"study.json.*student.safetensors.*neither"):
        open_row(tmp_path)
    (tmp_path / "config.yaml").write_text("arm: dait\n")
    with pytest.raises(UserError, match="has no student yet"):
        open_row(tmp_path)
