"""The compare tab's contents, from a finished study and an uploaded photograph."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.compare import views as compare_views
from app.compare.views import AUTOMATIC, METHODS, PREDICTED, CompareViews
from app.comparisons.study_list import study_choices
from app.config import AppConfig
from app.studies.entries import FRONT, finished_studies
from dait.errors import UserError
from dait.evidence.heatmaps import cam as heatmaps
from dait.evidence.heatmaps.explanation import Question
from dait.runs.folder import RunsRoot, StudyFolder

ROW_MEMBERS = 5


@pytest.fixture
def study_id(config: AppConfig) -> str:
    return finished_studies(config)[0].id


def test_the_overview_has_a_row_for_every_network(config: AppConfig, study_id: str) -> None:
    view = CompareViews(config).overview(study_id, None)
    assert view.table.count('<th scope="row">') == ROW_MEMBERS
    assert (view.seeds, view.seed, len(view.classes)) == ((0, 1), 0, 4)
    bars = json.loads(view.bars)
    assert len([trace for trace in bars["data"] if trace["type"] == "bar"]) == ROW_MEMBERS - 1
    assert view.slices is None


def test_the_page_comes_with_the_table_of_what_is_shown_first(
    config: AppConfig, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = CompareViews(config)
    assert views.first_table() == views.overview(study_id, None).table
    monkeypatch.setattr(compare_views, "QUICKLY_READ_BYTES", 1000)
    assert views.first_table() == ""
    shutil.rmtree(config.runs.path / study_id)
    assert CompareViews(config).first_table() == ""


def test_accuracy_on_backgrounds_is_shown_where_it_was_measured(
    config: AppConfig, study_id: str
) -> None:
    for path in (config.runs.path / study_id).glob("*/result.json"):
        result = json.loads(path.read_text())
        result["slices"] = {"background": {"familiar": 0.5, "unfamiliar": 0.25}}
        path.write_text(json.dumps(result))
    slices = json.loads(CompareViews(config).overview(study_id, None).slices or "")
    assert {"familiar", "unfamiliar"} == set(slices["data"][0]["x"])


def test_a_test_image_gives_a_row_of_heatmaps(config: AppConfig, study_id: str) -> None:
    views = CompareViews(config)
    gallery, first = views.gallery(study_id, None)
    row = views.rows(study_id, None, (("test", first),))
    assert gallery.count("<button") == 12 and gallery.count('aria-pressed="true"') == 1
    assert row.count("<figure") == ROW_MEMBERS
    assert row.count('class="heat"') + row.count("map was empty") == ROW_MEMBERS
    assert row.count("right</span>") + row.count("wrong</span>") == ROW_MEMBERS


def test_the_gallery_marks_what_is_picked(config: AppConfig, study_id: str) -> None:
    views = CompareViews(config)
    _, first = views.gallery(study_id, None)
    other = (first + 1) % 12
    for picks, marked in (
        ((), [str(first)]),
        ((("test", other),), [str(other)]),
        ((("upload", "mine.jpg"),), []),
        ((("test", first), ("test", other)), [str(first), str(other)]),
    ):
        gallery, _ = views.gallery(study_id, None, picks)
        found = re.findall(r'data-index="(\d+)" aria-pressed="true"', gallery)
        assert sorted(found) == sorted(marked)


def test_only_an_image_of_the_study_can_be_shown(config: AppConfig, study_id: str) -> None:
    views = CompareViews(config)
    views.check(study_id, ("test", 11))
    for study, index in ((study_id, 12), (study_id, -1), (study_id, "1"), (study_id, None)):
        with pytest.raises(UserError, match=r"no test image|one of the sample images"):
            views.check(study, ("test", index))
    with pytest.raises(UserError, match="no study called"):
        views.check("elsewhere", ("test", 0))


def test_a_photograph_gives_a_row_without_right_and_wrong(
    config: AppConfig, study_id: str, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    pick = ("upload", str(tmp_path / "photo.jpg"))
    row = CompareViews(config).rows(study_id, 1, (pick,), "layercam", "", 2)
    assert row.count("<figure") == ROW_MEMBERS
    assert "right</span>" not in row and "wrong</span>" not in row


def test_a_row_is_made_once(config: AppConfig, study_id: str) -> None:
    views = CompareViews(config)
    opened = views.comparisons.get(study_id)
    image, _ = opened.comparison.test_image(0)
    first = opened.row(image, Question())
    assert opened.row(image.copy(), Question()) is first
    assert opened.row(image, Question("layercam")) is not first
    assert views.comparisons.get(study_id) is opened


def test_several_images_stand_below_each_other(config: AppConfig, study_id: str) -> None:
    views = CompareViews(config)
    picks = (("test", 1), ("test", 5))
    rows = views.rows(study_id, None, picks)
    assert rows.count("<figure") == 2 * ROW_MEMBERS
    assert re.findall(r'data-image="(\d+)"', rows) == ["1", "5"]
    assert re.findall(r'data-remove="(\d+)"', rows) == ["0", "1"]
    assert "data-remove" not in views.rows(study_id, None, picks[:1])


def test_a_sentence_is_for_the_network_that_reads(config: AppConfig, study_id: str) -> None:
    rows = CompareViews(config).rows(
        study_id, None, (("test", 0),), "hirescam", "", PREDICTED, " a red  bird "
    )
    assert rows.count("“a red bird”") == 1 and "knows classes, not words" not in rows
    with pytest.raises(UserError, match="has no word"):
        CompareViews(config).rows(study_id, None, (("test", 0),), AUTOMATIC, "", PREDICTED, "?!")


def test_layers_are_named_from_the_outside_in(config: AppConfig, study_id: str) -> None:
    views = CompareViews(config)
    layers = {name: label for label, name in views.layers(study_id, None)}
    depths = [name.count(".") for name in layers]
    assert "layer4" in layers and depths == sorted(depths) and len(layers) > 10
    assert "DAIT" in layers["layer4"] and "Vision-language" not in layers["layer4"]
    rows = views.rows(study_id, None, (("test", 0),), AUTOMATIC, "layer3")
    assert rows.count("<figure") == ROW_MEMBERS and rows.count("no layer of this") == 1
    with pytest.raises(UserError, match="no such layer"):
        views.rows(study_id, None, (("test", 0),), AUTOMATIC, "x" * 999)


def test_the_plane_and_the_matrices_have_a_panel_for_every_network(
    config: AppConfig, study_id: str
) -> None:
    views = CompareViews(config)
    for figure in (views.plane(study_id, None, 3), views.similarity(study_id, None, 3)):
        axes = [name for name in json.loads(figure)["layout"] if name.startswith("xaxis")]
        titles = [note["text"] for note in json.loads(figure)["layout"]["annotations"]]
        assert len(axes) >= ROW_MEMBERS
        assert {"DAIT", "Direct distillation", "Frozen teacher"} <= set(titles)
    assert views.representation(study_id, None).count('<th scope="row">') == ROW_MEMBERS


@pytest.mark.parametrize("name", [None, 7, "../tiny", "/etc", "gone-20260101", "tiny/../.."])
def test_ids_lead_nowhere_else(config: AppConfig, name: object) -> None:
    with pytest.raises(UserError):
        CompareViews(config).overview(name, None)


@pytest.mark.parametrize(
    ("pick", "method", "target"),
    [
        (("test", 10_000), AUTOMATIC, PREDICTED),
        (("test", "0"), AUTOMATIC, PREDICTED),
        (("test", None), AUTOMATIC, PREDICTED),
        (("test", 0), "magic", PREDICTED),
        (("test", 0), AUTOMATIC, 4),
        (("test", 0), AUTOMATIC, "0"),
        (("upload", "/nonexistent.jpg"), AUTOMATIC, PREDICTED),
    ],
)
def test_what_a_browser_makes_up_is_refused(
    config: AppConfig, study_id: str, pick: tuple[str, object], method: str, target: object
) -> None:
    with pytest.raises(UserError):
        CompareViews(config).rows(study_id, None, (pick,), method, "", target)


def test_an_unfinished_study_is_not_offered(config: AppConfig, study_id: str) -> None:
    StudyFolder(config.runs.path / study_id).write_status(state="failed")
    assert study_choices(config) == []
    with pytest.raises(UserError, match="not finished"):
        CompareViews(config).overview(study_id, None)


def test_the_bundled_study_opens_the_page_and_trials_come_last(
    config: AppConfig, tmp_path: Path
) -> None:
    own = finished_studies(config)[0].id
    for name in ("another", FRONT):
        shutil.copytree(config.runs.path / own, tmp_path / "assets" / name)
    trial = config.runs.path / "trial-20270101-120000-0a1b2c3d"
    shutil.copytree(config.runs.path / own, trial)
    study = StudyFolder(trial)
    described = study.description()
    described["recipe"]["train"]["epochs"] = 1
    study.write_description(described)
    study.write_status(started=2e9)  # the newest
    both = replace(config, shipped=RunsRoot(tmp_path / "assets"))
    assert [name for _, name in study_choices(both)] == [FRONT, "another", own, trial.name]


def test_every_method_is_offered() -> None:
    assert set(METHODS) == {AUTOMATIC, *heatmaps.METHODS}
