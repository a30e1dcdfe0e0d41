"""The exhibits of the Paper tab, from a finished study."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from html import unescape

import pytest

from app.comparisons.cache import Comparisons
from app.comparisons.report_sections import MOST, ReportSections
from app.config import AppConfig
from app.paper.exhibits import EXHIBITS
from app.paper.views import PaperViews
from app.studies.entries import finished_studies
from dait.errors import UserError
from dait.evidence.report.exhibits import KEYS
from dait.runs.folder import StudyFolder

DRAWN = re.compile(r'data-figure="([^"]*)"')


@pytest.fixture
def study_id(config: AppConfig) -> str:
    return finished_studies(config)[0].id


@pytest.fixture
def views(config: AppConfig) -> PaperViews:
    return PaperViews(ReportSections(config, Comparisons(config)))


def test_every_exhibit_says_what_it_is_and_what_made_it(views: PaperViews, study_id: str) -> None:
    shown = dict(views.exhibits(study_id, None, [], 3))
    assert list(shown) == [exhibit.key for exhibit in EXHIBITS]
    assert set(KEYS) | {"pipeline"} == set(shown)
    for exhibit in EXHIBITS:
        html = shown[exhibit.key]
        assert exhibit.title in html and ("python -m dait" in html or "bash assets/" in html)
        assert f'data-goto="{exhibit.opens[0]}"' in html
    # What was not measured is said with the command that measures it; the rest has its figures.
    assert "not measured" in shown["localisation"] and "dait localise" in shown["localisation"]
    for key in ("features", "costs", "teachers", "accuracy", "regimes", "ablations"):
        figures = [json.loads(unescape(found)) for found in DRAWN.findall(shown[key])]
        assert figures and all(figure["data"] for figure in figures)
        # Their ink is the page's, whatever its theme.
        assert all(figure["layout"]["font"]["color"] == "#808080" for figure in figures)
    assert "Corrected" in shown["accuracy"] and "seed 0" in shown["features"]


@pytest.mark.slow
def test_a_phone_gets_one_column(views: PaperViews, study_id: str) -> None:
    wide, narrow = (
        [
            json.loads(unescape(found))["layout"]["height"]
            for key, html in views.exhibits(study_id, None, [], columns)
            if key == "features"
            for found in DRAWN.findall(html)
        ]
        for columns in (3, 1)
    )
    assert all(tall > flat for tall, flat in zip(narrow, wide, strict=True)) and wide


@pytest.mark.slow
def test_the_data_of_a_figure_and_a_table_is_csv(views: PaperViews, study_id: str) -> None:
    html = dict(views.exhibits(study_id, None, [], 3))["costs"]
    numbers = [int(found) for found in re.findall(r'data-csv="(\d+)"', html)]
    assert len(numbers) == 2
    for number in numbers:
        name, content = views.block_csv("costs", number, study_id, None, [])
        rows = list(csv.DictReader(io.StringIO(content)))
        assert name.startswith(study_id) and len(rows) >= 3
    with pytest.raises(UserError):
        views.block_csv("costs", 99, study_id, None, [])


@pytest.mark.slow
def test_several_studies_stand_side_by_side(
    config: AppConfig, views: PaperViews, study_id: str
) -> None:
    other = config.runs.path / "larger-20260201-120000-0a1b2c3d"
    shutil.copytree(config.runs.path / study_id, other)
    for run in StudyFolder(other).runs():
        result = run.result()
        assert result is not None
        if result["intermediate"]:
            text = (run.path / "config.yaml").read_text()
            (run.path / "config.yaml").write_text(text.replace("stem_width: 8", "stem_width: 9"))
    html = dict(views.exhibits(study_id, None, [study_id, other.name], 3))["accuracy"]
    assert f"{other.name}: DAIT" in html
    with pytest.raises(UserError, match="no study"):
        next(views.exhibits(study_id, None, ["gone"], 3))
    with pytest.raises(UserError, match=f"At most {MOST}"):
        copies = []
        for number in range(MOST + 1):
            copies.append(f"copy-{number}")
            shutil.copytree(other, config.runs.path / copies[-1])
        next(views.exhibits(study_id, None, copies, 3))


def test_own_sweeps_are_shown(config: AppConfig, views: PaperViews, study_id: str) -> None:
    rows = [
        {"setting": setting, "arm": arm, "seed": 100, "top1": top1, "intermediate_top1": None}
        for setting, arm, top1 in (
            ({}, "direct", 0.4),
            ({}, "dait", 0.5),
            ({"intermediate.name": "resnet18"}, "dait", 0.55),
            ({"intermediate.name": "resnet34"}, "dait", 0.6),
        )
    ]
    log = config.runs.path / "teachers" / "sweep.jsonl"
    log.parent.mkdir()
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    html = dict(views.exhibits(study_id, None, [], 3))["teachers"]
    figures = [unescape(found) for found in DRAWN.findall(html)]
    (figure,) = [json.loads(text) for text in figures if "resnet34" in text]
    lines = [shape for shape in figure["layout"]["shapes"] if shape["line"].get("dash")]
    assert [line["y0"] for line in lines] == [0.4]
