"""Every network of the libraries, tried and noted; here only a few of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm

import dait.models.survey as survey_module
from dait.cli import main
from dait.errors import UserError
from dait.models.survey import families_in_turn, read_survey, survey_run, survey_shapes


@pytest.mark.slow
def test_shapes_are_tried_at_every_size() -> None:
    row = survey_shapes("test_vit")
    assert (row.fault, row.tried, row.family) == ("", "shapes", "vision_transformer")
    assert row.sizes == "64 96 128 160 192 224 256" and row.own_size == "160"
    assert row.map == "64×10×10" and row.pooled == "64" and int(row.parameters) > 100_000


@pytest.mark.slow
def test_a_network_of_one_size_has_only_that() -> None:
    assert survey_shapes("efficientformer_l1").sizes == "224"


@pytest.mark.slow
def test_a_network_whose_widths_are_computed_by_tensors_has_shapes_too() -> None:
    row = survey_shapes("torchvision:regnet_y_400mf")
    assert not row.fault and row.map == "440×7×7" and row.sizes.split()[-1] == "256"


@pytest.mark.slow
def test_a_step_of_training_and_a_heatmap_are_tried() -> None:
    row = survey_run(survey_shapes("test_vit"))
    assert (row.fault, row.tried, row.heatmap) == ("", "run", "blocks.5.norm1")
    assert survey_run(survey_shapes("torchvision:shufflenet_v2_x0_5")).heatmap == "map_view"


def test_a_survey_that_is_cut_off_has_seen_some_of_everything() -> None:
    names = ["resnet18", "resnet34", "resnet50", "test_vit", "vit_tiny_patch16_224"]
    assert families_in_turn(names)[:2] == ["resnet18", "test_vit"]


@pytest.mark.slow
def test_the_command_goes_on_where_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timm, "list_models", lambda: ["test_vit", "test_resnet"])
    monkeypatch.setattr(survey_module, "torchvision_names", lambda: [])
    out = tmp_path / "all.csv"
    words = ["networks", "--all", "--out", str(out)]
    assert main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    table = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "Not finished" not in table
    assert "| resnet | `test_resnet` | all | yes | yes | run |" in table
    assert set(read_survey(out)) == {"test_vit", "test_resnet"}
    # Cut off in the middle of a line.
    whole = out.read_text(encoding="utf-8")
    out.write_text(whole[: whole.index("test_vit") + 20], encoding="utf-8")
    assert main(words) == 0
    assert "test_resnet" not in capsys.readouterr().out
    assert out.read_text(encoding="utf-8") == whole


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("path,label\n")
    with pytest.raises(UserError, match="no survey of networks"):
        read_survey(tmp_path / "mine.csv")
