from __future__ import annotations

import json
from pathlib import Path

import pytest

from dait.config.recipe import Recipe, load_recipe
from dait.data.fieldguide.dataset import FieldGuide
from dait.errors import UserError
from dait.events import Event, Note, ignore
from dait.runs.folder import RunFolder
from dait.study.sweep import FIRST_STAGES, LOG, grid, one_factor_at_a_time, run_sweep

VARIED = {"train.epochs": [1, 2], "direct.feature_weight": [0.0]}


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("tiny").changed({"train.epochs": 1})


def test_one_factor_at_a_time_begins_with_the_recipe_as_it_is() -> None:
    assert one_factor_at_a_time(VARIED) == [
        {},
        {"train.epochs": 1},
        {"train.epochs": 2},
        {"direct.feature_weight": 0.0},
    ]


def test_a_grid_is_every_combination() -> None:
    assert grid(VARIED) == [
        {"train.epochs": 1, "direct.feature_weight": 0.0},
        {"train.epochs": 2, "direct.feature_weight": 0.0},
    ]


@pytest.mark.slow
def test_settings_are_measured_on_validation_and_written_down(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[str]()
    real = FieldGuide.split

    def watched(guide: FieldGuide, name: str) -> object:
        read.append(name)
        return real(guide, name)  # type: ignore[arg-type]

    monkeypatch.setattr(FieldGuide, "split", watched)
    settings = one_factor_at_a_time({"dait.spatial_weight": [1.0]})
    rows = run_sweep(recipe, settings, ["independent", "dait"], [7], tmp_path, ignore)
    assert [(row["setting"], row["arm"]) for row in rows] == [
        ({}, "independent"),
        ({}, "dait"),
        ({"dait.spatial_weight": 1.0}, "independent"),
        ({"dait.spatial_weight": 1.0}, "dait"),
    ]
    assert [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()] == rows
    assert "test" not in read
    # Another weight in stage 2 leaves the intermediate teacher as it is.
    (kept,) = map(RunFolder, (tmp_path / FIRST_STAGES).iterdir())
    assert kept.intermediate.exists() and kept.projections("intermediate").exists()
    assert rows[1]["intermediate_top1"] == rows[3]["intermediate_top1"]
    # 6 species with 4 validation images each: a share of 24.
    assert all((row["top1"] * 24) % 1 == pytest.approx(0, abs=1e-6) for row in rows)
    assert rows[0]["intermediate_top1"] is None
    assert rows[1]["intermediate_top1"] is not None


@pytest.mark.slow
def test_what_is_there_is_not_run_again(recipe: Recipe, tmp_path: Path) -> None:
    first = run_sweep(recipe, [{}], ["independent"], [7], tmp_path, ignore)
    heard = list[Event]()
    again = run_sweep(recipe, [{}], ["independent"], [7, 8], tmp_path, heard.append)
    assert again[0] == first[0]
    done = [event.text for event in heard if isinstance(event, Note) and "validation" in event.text]
    assert len(done) == 1 and "seed 8" in done[0]


def test_a_value_that_the_recipe_has_already_is_not_run_again(
    recipe: Recipe, tmp_path: Path
) -> None:
    settings = one_factor_at_a_time({"direct.logit_weight": [recipe.direct.logit_weight]})
    rows = run_sweep(recipe, settings, ["independent"], [7], tmp_path, ignore)
    assert [row["setting"] for row in rows] == [{}]


def test_a_sweep_of_another_recipe_and_an_impossible_setting_are_refused(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"train\.epochs"):
        run_sweep(recipe, [{}, {"train.epochs": 0}], ["independent"], [7], tmp_path / "a", ignore)
    assert not (tmp_path / "a").exists()
    run_sweep(recipe, [{}], ["independent"], [7], tmp_path, ignore)
    with pytest.raises(UserError, match="another recipe"):
        run_sweep(recipe.changed({"train.epochs": 2}), [{}], ["independent"], [7], tmp_path, ignore)


@pytest.mark.slow
def test_a_first_stage_that_was_half_kept_is_passed_over(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / FIRST_STAGES / ".0123456789abcdef.tmp").mkdir(parents=True)
    (row,) = run_sweep(recipe, [{}], ["dait"], [7], tmp_path, ignore)
    assert row["intermediate_top1"] is not None


def test_a_folder_that_is_no_run_of_the_sweep_is_not_deleted(
    recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="no run of this sweep"):
        run_sweep(recipe, [{}], ["independent"], [7], tmp_path, ignore)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
