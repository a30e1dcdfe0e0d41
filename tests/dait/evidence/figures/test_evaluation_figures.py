"""The figures of an evaluation: confusions, gains, reliability; what a click on them tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dait.evaluation.metrics import Reliability
from dait.evidence.figures import confusion_panels, gain_bars, reliability_panels
from dait.evidence.palette import ARM_COLOURS

NAMES = ["red wren", "barn owl", "<b>blue</b> wren", "snowy owl"]
GROUPS = ["wren", "owl", "wren", "owl"]
MATRIX = np.array([[3, 0, 1, 0], [0, 2, 0, 2], [0, 0, 4, 0], [1, 0, 0, 7]])
MATRICES = {"direct": MATRIX, "dait-s1": MATRIX.T}
BINS = Reliability(
    count=np.array([0, 6, 4]),
    confidence=np.array([np.nan, 0.5, 0.9]),
    accuracy=np.array([np.nan, 0.3, 1.0]),
)


def gain_row(index: int, gain: float, sd: float | None = 0.02) -> dict[str, Any]:
    name = f"<i>{index}</i>"
    return {"index": index, "name": name, "n": 25, "ours": 0.5 + gain, "theirs": 0.5,
            "gain": gain, "sd": sd}  # fmt: skip


GAINS = [gain_row(0, -0.1), gain_row(1, 0.2), gain_row(2, 0.0), gain_row(3, 0.04)]
FULL: dict[str, Callable[..., go.Figure]] = {
    "confusion": lambda **k: confusion_panels(MATRICES, NAMES, GROUPS, **k),
    "gains": lambda **k: gain_bars(GAINS, "dait", "direct", **k),
    "reliability": lambda **k: reliability_panels({"dait": BINS, "direct-s0": BINS}, **k),
}
EMPTY: dict[str, Callable[[], go.Figure]] = {
    "confusion": lambda: confusion_panels({"dait": np.zeros((4, 4), int)}, NAMES),
    "gains": lambda: gain_bars([], "dait", "direct"),
    "reliability": lambda: reliability_panels({}),
}


@pytest.mark.parametrize("name", FULL)
def test_they_fit_any_page(name: str) -> None:
    layout = FULL[name]().layout
    assert layout.autosize is True and layout.width is None and layout.uirevision == name
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    inks = {FULL[name](dark=dark).layout.font.color for dark in (None, False, True)}
    assert len(inks) == 3
    json.loads(FULL[name]().to_json())


@pytest.mark.parametrize("name", EMPTY)
def test_without_data_they_say_so(name: str) -> None:
    figure = EMPTY[name]()
    (sentence,) = figure.layout.annotations
    assert not figure.data and sentence.text.endswith(".") and figure.layout.uirevision == name


def test_a_cell_tells_its_classes_its_count_and_its_share() -> None:
    figure = confusion_panels(MATRICES, NAMES, GROUPS)
    direct, dait = figure.data
    assert figure.layout.meta == "class"
    # Groups stand together: wrens (classes 0 and 2), then owls (1 and 3).
    order = [0, 2, 1, 3]
    share = np.array([[np.nan if v is None else v for v in row] for row in direct.z], float)
    expected = (MATRIX / MATRIX.sum(axis=1, keepdims=True))[np.ix_(order, order)]
    np.testing.assert_allclose(np.nan_to_num(share), expected)
    assert np.isnan(share[expected == 0]).all() and direct.hoverongaps is False
    assert list(direct.customdata[2][3]) == [1, 3, 2, 4]
    assert direct.customdata[2][0] is None
    assert direct.text[2][3] == "barn owl<br>taken for<br>snowy owl: 2 of 4 (50.0 %)"
    assert direct.text[0][1].startswith("red wren<br>taken for<br>&lt;b&gt;blue&lt;/b&gt; wren: 1")
    assert direct.text[1][1].endswith("named right: 4 of 4 (100.0 %)")
    assert {direct.coloraxis, dait.coloraxis} == {"coloraxis"}
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["Direct distillation", "DAIT, seed 1"]
    assert {shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1} == {1.5}


def test_colours_tell_small_shares_apart_on_a_true_scale() -> None:
    axis = confusion_panels(MATRICES, NAMES).layout.coloraxis
    assert (axis.cmin, axis.cmax, axis.colorbar.tickformat) == (0, 1, ".0%")
    places = [place for place, _ in axis.colorscale]
    assert places == sorted(places) and (places[0], places[-1]) == (0, 1)
    assert sum(place <= 0.25 for place in places) >= len(places) / 2


def test_few_classes_are_named_and_many_are_not() -> None:
    few = confusion_panels({"dait": MATRIX}, NAMES)
    assert list(few.layout.xaxis.ticktext) == [*NAMES[:2], "&lt;b&gt;blue&lt;/b&gt; wren", NAMES[3]]
    assert few.layout.yaxis.title.text == "shown" and few.layout.xaxis.title.text == "taken for"
    many = confusion_panels({"dait": np.eye(30, dtype=int)}, [f"class {k}" for k in range(30)])
    assert many.layout.xaxis.ticktext is None and many.layout.xaxis.showticklabels is False


def test_groups_stand_for_many_classes() -> None:
    count = 80
    groups = [f"family {k // 20}" for k in range(count)]
    matrix = np.eye(count, dtype=int) * 3
    matrix[0, 1] = matrix[0, 79] = 1
    figure = confusion_panels({"dait": matrix}, [f"class {k}" for k in range(count)], groups)
    (panel,) = figure.data
    assert figure.layout.meta == "group" and np.shape(panel.z) == (4, 4)
    assert list(panel.customdata[0][3]) == [0, 3, 1, 62]
    assert "family 0<br>taken for<br>family 3: 1 of 62" in panel.text[0][3]
    whole = confusion_panels({"dait": matrix}, [str(k) for k in range(count)], groups, False)
    assert whole.layout.meta == "class" and np.shape(whole.data[0].z) == (count, count)
    ungrouped = confusion_panels({"dait": matrix}, [str(k) for k in range(count)])
    assert ungrouped.layout.meta == "class"


def test_matrices_must_fit() -> None:
    with pytest.raises(ValueError, match="4 classes"):
        confusion_panels({"dait": np.eye(3)}, NAMES)
    with pytest.raises(ValueError, match="4 classes"):
        confusion_panels({"dait": MATRIX}, NAMES, GROUPS[:2])


def test_bars_go_from_the_most_to_the_least_in_the_colour_of_who_is_ahead() -> None:
    figure = gain_bars(GAINS, "dait", "direct-s0")
    ours, theirs = figure.data
    assert list(ours.x) == [0, 1, 2] and list(ours.y) == [0.2, 0.04, 0.0]
    assert list(theirs.x) == [3] and list(theirs.y) == [-0.1]
    assert ours.marker.color == ARM_COLOURS["dait"]
    assert theirs.marker.color == ARM_COLOURS["direct"]
    assert [list(cell)[:2] for cell in ours.customdata] == [[1, 25], [3, 25], [2, 25]]
    assert list(ours.customdata[0])[2:] == ["&lt;i&gt;1&lt;/i&gt;", 0.7, 0.5]
    assert ours.name == "DAIT is ahead" and theirs.name == "Direct distillation, seed 0 is ahead"
    assert ours.hovertext[0] == (
        "&lt;i&gt;1&lt;/i&gt;: +20.0 points ± 2.0 (sd over seeds)<br>DAIT 70.0 %"
        "<br>Direct distillation, seed 0 50.0 %<br>25 images"
    )
    assert list(ours.error_y.array) == [0.02] * 3 and ours.error_y.visible is True
    (mean,) = figure.layout.shapes
    assert mean.y0 == mean.y1 == pytest.approx(0.035)
    assert list(figure.layout.xaxis.ticktext) == [f"&lt;i&gt;{k}&lt;/i&gt;" for k in (1, 3, 2, 0)]


def test_gains_of_one_seed_have_no_whisker_and_many_classes_no_names() -> None:
    rows = [gain_row(k, 0.001 * k, None) for k in range(60)]
    figure = gain_bars(rows, "dait", "direct")
    assert figure.data[0].error_y.visible is False and "±" not in figure.data[0].hovertext[0]
    assert figure.layout.xaxis.title.text == "60 classes" and not figure.layout.xaxis.ticktext
    wide, narrow = (gain_bars(rows[:20], "dait", "direct", columns=columns) for columns in (2, 1))
    assert len(wide.layout.xaxis.ticktext) == 20 and not narrow.layout.xaxis.ticktext


def test_a_reliability_bar_ends_at_the_accuracy_and_the_gap_at_the_confidence() -> None:
    figure = reliability_panels({"dait": BINS, "direct": BINS})
    right, gap, alike = figure.data[:3]
    # The empty bin has no bar; the others lie in the middle of their thirds.
    np.testing.assert_allclose(right.x, [0.5, 5 / 6])
    np.testing.assert_allclose(right.y, [0.3, 1.0])
    np.testing.assert_allclose(np.add(gap.base, gap.y), [0.5, 0.9])
    assert right.width == pytest.approx(1 / 3)
    assert [list(cell) for cell in gap.customdata] == [[1, 6], [2, 4]]
    assert right.hovertext[0] == (
        "33.3 % to 66.7 % sure: 6 of 10 answers<br>accuracy 30.0 %<br>mean confidence 50.0 %"
    )
    assert list(alike.x) == list(alike.y) == [0, 1] and alike.line.dash == "dash"
    assert right.marker.color == ARM_COLOURS["dait"]
    titles = [annotation.text for annotation in figure.layout.annotations]
    # |0.3 − 0.5| · 6/10 + |1 − 0.9| · 4/10
    assert titles == ["DAIT, ECE 16.0 %", "Direct distillation, ECE 16.0 %"]
    assert [trace.name for trace in figure.data if trace.showlegend] == [gap.name]
