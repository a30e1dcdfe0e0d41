"""The map of regimes as a figure: its panels, its axis, its whiskers and its data as a table."""

from __future__ import annotations

import json
from typing import Any

import plotly.io
import pytest

from dait.evaluation.regimes import Measured, RegimeSummary
from dait.evidence.figures import regime_panels
from dait.evidence.figures.export import figure_html
from dait.evidence.figures.rows import figure_rows
from dait.evidence.palette import ARM_COLOURS


def regime(condition: str, teacher: str, student: str, zero_shot: float) -> RegimeSummary:
    """A map where dait gains as much as the teacher knows, and direct nothing."""
    return RegimeSummary(
        condition=condition,
        teacher=teacher,
        student=student,
        measured=Measured(
            classes=10,
            labelled=5,
            unlabelled=20 if condition == "pool" else 0,
            zero_shot=zero_shot,
            probe=1 - zero_shot / 2,
            start_probe=0.3,
        ),
        top1={"independent": 0.5, "dait": 0.5 + zero_shot / 4, "direct": 0.5},
        gains={
            "independent": (0.0, 0.0),
            "dait": (zero_shot / 4 - 0.01, zero_shot / 4 + 0.03),
            "direct": (0.0,),
        },
    )


REGIMES = [
    regime(condition, teacher, student, zero_shot)
    for condition in ("pool", "labels")
    for teacher, zero_shot in (("<i>strong</i>", 0.8), ("weak", 0.2))
    for student in ("quarter", "eighth")
]


def titles(figure: Any) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_it_fits_any_page() -> None:
    layout = regime_panels(REGIMES).layout
    assert layout.autosize is True and layout.width is None and layout.uirevision == "regimes"
    inks = {regime_panels(REGIMES, dark=dark).layout.font.color for dark in (None, False, True)}
    assert len(inks) == 3
    json.loads(regime_panels(REGIMES).to_json())


def test_without_a_map_it_says_so() -> None:
    figure = regime_panels([])
    assert not figure.data and titles(figure) == ["There is no map of regimes here."]


def test_a_column_a_condition_and_a_row_a_student() -> None:
    wide, narrow = regime_panels(REGIMES), regime_panels(REGIMES, columns=1)
    assert titles(wide) == [
        *("quarter, with unlabelled images", "quarter, labelled images only"),
        *("eighth, with unlabelled images", "eighth, labelled images only"),
    ]
    assert titles(narrow) == titles(wide) and narrow.layout.height > wide.layout.height
    assert {axis.matches for axis in wide.select_yaxes()} == {"y"}
    more = REGIMES[0].model_copy(update={"condition": "a larger pool"})
    assert titles(regime_panels([*REGIMES, more]))[:3] == [
        *("quarter, pool", "quarter, labelled images only", "quarter, a larger pool")
    ]


def test_a_line_an_arm_from_the_weakest_teacher_to_the_strongest() -> None:
    figure = regime_panels(REGIMES)
    dait, direct = figure.data[:2]
    assert (dait.name, direct.name) == ("DAIT", "Direct distillation")
    assert dait.line.color == ARM_COLOURS["dait"] and len(figure.data) == 2 * 4
    assert list(dait.x) == [0.2, 0.8] and list(dait.y) == pytest.approx([6.0, 21.0])
    assert list(dait.error_y.array) == pytest.approx([2.0, 2.0])
    assert list(dait.error_y.arrayminus) == pytest.approx([2.0, 2.0])
    assert dait.error_y.visible is True and direct.error_y.visible is False
    assert [trace.name for trace in figure.data if trace.showlegend] == [dait.name, direct.name]
    assert figure.layout.yaxis.title.text == "points over labels alone"
    assert figure.layout.yaxis.zerolinecolor == ARM_COLOURS["independent"]
    assert figure.layout.yaxis.rangemode == "tozero"


def test_a_point_says_its_teacher_its_probes_and_its_seeds() -> None:
    dait, direct = regime_panels(REGIMES).data[:2]
    assert dait.hovertext[1] == (
        "<b>DAIT</b> +21.0 points, 70.0 % top-1<br>teacher &lt;i&gt;strong&lt;/i&gt;: zero-shot "
        "80.0 %, probe 60.0 %<br>start probe 30.0 %<br>2 seeds: +19.0, +23.0"
    )
    assert direct.hovertext[0].endswith("1 seed")


def test_against_the_probe_teachers_change_places() -> None:
    figure = regime_panels(REGIMES, against="probe")
    assert list(figure.data[0].x) == pytest.approx([0.6, 0.9])
    assert list(figure.data[0].y) == pytest.approx([21.0, 6.0])
    assert "probe" in figure.layout.xaxis3.title.text


def test_an_arm_that_the_first_panel_lacks_is_in_the_legend() -> None:
    alone = {"independent": (0.0,), "dait": (0.1,)}
    figure = regime_panels([REGIMES[0].model_copy(update={"gains": alone}), REGIMES[-1]])
    assert [trace.name for trace in figure.data if trace.showlegend] == [
        *("DAIT", "Direct distillation")
    ]


def test_as_a_file_it_has_a_row_for_every_point() -> None:
    figure = plotly.io.from_json(regime_panels(REGIMES).to_json())
    rows = figure_rows(figure)
    assert len(rows) == len(REGIMES) * 2
    assert rows[1] == {
        "condition": "pool",
        "teacher": "<i>strong</i>",
        "student": "quarter",
        "arm": "dait",
        "zero_shot": 0.8,
        "probe": 0.6,
        "start_probe": 0.3,
        "gain": pytest.approx(0.21),
        "seeds": 2,
        "worst": pytest.approx(0.19),
        "best": pytest.approx(0.23),
    }
    assert "points over labels alone" in figure_html(figure, "Map")
