"""What a mark of a figure leads to, and which images match, in a finished study."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import numpy as np
import pytest

from app.compare.linked_views import ANY, LinkedViews
from app.compare.save_figure import figures_to_save, saved_figure
from app.comparisons.cache import Comparisons
from app.config import AppConfig
from app.studies.entries import finished_studies
from dait.errors import UserError
from dait.evidence.comparison import Comparison


@pytest.fixture
def study_id(config: AppConfig) -> str:
    return finished_studies(config)[0].id


@pytest.fixture
def linked(config: AppConfig) -> LinkedViews:
    return LinkedViews(Comparisons(config))


@pytest.fixture
def comparison(linked: LinkedViews, study_id: str) -> Comparison:
    return linked.comparisons.get(study_id).comparison


def right(comparison: Comparison, role: str) -> np.ndarray:
    key = next(member.key for member in comparison.members if member.role == role)
    return comparison.logits[key].argmax(axis=1) == comparison.labels


def marks(figure: str, trace: int = 0) -> Any:
    return json.loads(figure)["data"][trace]["customdata"]


def test_who_is_right_and_who_is_wrong(
    linked: LinkedViews, study_id: str, comparison: Comparison
) -> None:
    wanted = linked.image_filter(study_id, None, ["dait"], ["direct"], ANY, "")
    told, gallery, first = linked.matches(study_id, None, wanted, ())
    expected = np.flatnonzero(right(comparison, "dait") & ~right(comparison, "direct"))
    assert len(expected)
    found = {int(index) for index in re.findall(r'data-index="(\d+)"', gallery)}
    assert found == set(expected.tolist()) and first in found
    assert told == f"{len(expected)} of 12 test images: DAIT right and Direct distillation wrong."


def test_classes_and_parts_of_the_split(
    linked: LinkedViews, study_id: str, comparison: Comparison
) -> None:
    parts = [value for _, value in linked.parts(study_id, None)]
    assert "background=familiar" in parts
    wanted = linked.image_filter(study_id, None, [], [], 2, "background=familiar")
    told, gallery, _ = linked.matches(study_id, None, wanted, (("test", 2),))
    at_home = comparison.slices()["background"] == "familiar"
    expected = np.flatnonzero((comparison.labels == 2) & at_home).tolist()
    assert [int(index) for index in re.findall(r'data-index="(\d+)"', gallery)] == expected
    assert "background familiar" in told


@pytest.mark.parametrize(
    ("roles", "label", "part"),
    [(["kd"], ANY, ""), ([3], ANY, ""), ([], 4, ""), ([], "0", ""), ([], True, ""),
     ([], ANY, "sky=red"), ([], ANY, "habitat"), ([], ANY, "habitat=<b>")],
)  # fmt: skip
def test_what_a_study_has_not_cannot_be_asked(
    linked: LinkedViews, study_id: str, roles: list[Any], label: object, part: str
) -> None:
    with pytest.raises(UserError, match=r"choose|point"):
        linked.image_filter(study_id, None, roles, [], label, part)


def test_a_cell_of_a_confusion_matrix_leads_to_one_of_its_images(
    linked: LinkedViews, study_id: str, comparison: Comparison
) -> None:
    cells = [cell for row in marks(linked.confusion(study_id, None, 2), 4) for cell in row if cell]
    answers = comparison.logits[comparison.members[4].key].argmax(axis=1)
    for cell in cells:
        index = linked.at_confusion(study_id, None, {"panel": 4, "data": cell})
        assert (comparison.labels[index], answers[index]) == (cell[0], cell[1])
    assert sum(cell[2] for cell in cells) == 12


def test_bars_and_similarities_lead_to_an_image_of_their_class(
    linked: LinkedViews, study_id: str, comparison: Comparison
) -> None:
    drawn = linked.gains(study_id, None, "dait", "direct", 3)
    bars = [bar for trace in (0, 1) for bar in marks(drawn, trace)]
    assert {bar[0] for bar in bars} == {0, 1, 2, 3}
    for bar in bars:
        mark = {"panel": 0, "data": bar}
        index = linked.at_gain(study_id, None, "dait", "direct", mark)
        assert comparison.labels[index] == bar[0]
    mark = {"panel": 2, "data": ["one", "other", 3, 1]}
    assert comparison.labels[linked.at_similarity(study_id, None, mark)] == 3
    assert linked.at_point(study_id, None, {"panel": 7, "data": [11, "id", "name"]}) == 11


@pytest.mark.parametrize(
    "mark", [None, {}, {"panel": 0, "data": None}, {"panel": 9, "data": [0, 0, 0, 0]},
             {"panel": "0", "data": [0, 0, 0, 0]}, {"panel": 0, "data": [12, 12, 12, 12]},
             {"panel": 0, "data": [-1, -1, -1, -1]}, {"panel": 0, "data": ["0", True, None, 1.5]}]
)  # fmt: skip
def test_marks_that_a_browser_makes_up_lead_nowhere(
    linked: LinkedViews, study_id: str, mark: Any
) -> None:
    finders = [linked.at_confusion, linked.at_similarity]
    if not (isinstance(mark, dict) and mark.get("data") == [0, 0, 0, 0]):
        finders.append(linked.at_point)  # it asks for no panel
    for find in finders:
        with pytest.raises(UserError, match="mark"):
            find(study_id, None, mark)
    with pytest.raises(UserError, match="network"):
        linked.at_gain(study_id, None, "dait", "kd", {"panel": 0, "data": [0]})


def test_confused_pairs_lead_to_a_mistake(
    linked: LinkedViews, study_id: str, comparison: Comparison
) -> None:
    pairs = linked.pairs(study_id, None, "independent")
    shown = [int(index) for index in re.findall(r'data-index="(\d+)"', pairs)]
    assert shown and not right(comparison, "independent")[shown].any()


def test_a_picture_of_a_point(linked: LinkedViews, study_id: str) -> None:
    picture = linked.thumbnail(study_id, None, 5)
    assert 'data-image="5"' in picture and 'src="data:image/jpeg;base64,' in picture
    with pytest.raises(UserError):
        linked.thumbnail(study_id, None, 12)


def test_every_network_has_its_bins(linked: LinkedViews, study_id: str) -> None:
    figure = json.loads(linked.reliability(study_id, None, 3))
    titles = [note["text"] for note in figure["layout"]["annotations"]]
    assert len([title for title in titles if ", ECE " in title]) == 5


def test_a_figure_is_saved_under_its_name(
    config: AppConfig, linked: LinkedViews, study_id: str
) -> None:
    from app.compare.views import CompareViews

    figures = figures_to_save(CompareViews(config), linked)
    path = saved_figure(figures, "gains", "csv", study_id, None, "dait", "direct")
    assert path.name == f"{study_id}-gains.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "class,images,ours,theirs,gain,sd,ahead" and len(lines) == 5
    # What was saved long ago goes with the next one.
    os.utime(path.parent, (0, 0))
    later = saved_figure(figures, "gains", "csv", study_id, None, "dait", "direct")
    assert later.exists() and not path.parent.exists()
    for name, kind in (("gains", "exe"), ("walls", "csv"), ("slices", "csv")):
        with pytest.raises(UserError):
            saved_figure(figures, name, kind, study_id, None, "dait", "direct")
