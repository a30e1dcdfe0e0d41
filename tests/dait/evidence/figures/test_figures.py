"""The figures: what they show, in whose colour, and what they say when there is nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest

from dait.evidence.figures import (
    accuracy_bars,
    bubble,
    bubble_rows,
    counts_bars,
    learning_curves,
    similarity_panels,
    slices_bars,
    teacher_rows,
    tsne_panels,
)
from dait.evidence.figures.layout import panels
from dait.evidence.palette import ARM_COLOURS

ARMS = ("independent", "direct", "dait")
CLASSES = ["red wren", "blue wren", "barn owl", "<b>snowy</b> owl"]
GROUPS = ["wren", "wren", "owl", "owl"]
LABELS = np.repeat(np.arange(4), 3)


def rows(stage: str, epochs: int, top: float) -> list[dict]:
    return [
        {"stage": stage, "epoch": e, "epochs": epochs, "loss": 1 / e, "val_top1": top * e / epochs}
        for e in range(1, epochs + 1)
    ]


def results() -> list[dict]:
    teacher = {"top1": 0.5, "parameters": 1_200_000, "network": "resnet10t", "val_top1": 0.5}
    return [
        {
            "arm": arm,
            "seed": seed,
            "top1": top + 0.02 * seed,
            "top1_interval": [top - 0.04, top + 0.05],
            "parameters": 2_800_000,
            "latency_ms": 8.0 if arm == "independent" else 2.0,
            "intermediate": teacher if arm == "dait" else None,
        }
        for arm, top in zip(ARMS, (0.3, 0.35, 0.4), strict=True)
        for seed in (0, 1)
    ]


def coordinates() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {arm: rng.normal(size=(12, 2)) for arm in ARMS}


def matrices() -> dict[str, np.ndarray]:
    base = np.array([[1, 0.6, 0.1, 0.2], [0.6, 1, 0, 0], [0.1, 0, 1, 0.5], [0.2, 0, 0.5, 1.0]])
    shifts = zip(ARMS, (0.0, 0.1, 0.3), strict=True)
    return {arm: base - shift * (1 - np.eye(4)) for arm, shift in shifts}


def count_rows(classes: int) -> list[dict]:
    return [{"name": f"<i>{k}</i>", "train": 5 + k, "val": 1, "test": k} for k in range(classes)]


FULL: dict[str, Callable[..., go.Figure]] = {
    "learning-curves": lambda **k: learning_curves({"dait-s0": rows("student", 3, 0.4)}, **k),
    "accuracy": lambda **k: accuracy_bars(results(), {"Chance": 0.025}, **k),
    "tsne": lambda **k: tsne_panels(coordinates(), LABELS, CLASSES, GROUPS, **k),
    "similarity": lambda **k: similarity_panels(matrices(), CLASSES, GROUPS, **k),
    "bubble": lambda **k: bubble(bubble_rows(results()), **k),
    "slices": lambda **k: slices_bars({"dait": {"reed": 0.4}}, "habitat", **k),
    "counts": lambda **k: counts_bars(count_rows(4), **k),
}

EMPTY: dict[str, Callable[[], go.Figure]] = {
    "learning-curves": lambda: learning_curves({"dait": []}),
    "accuracy": lambda: accuracy_bars([]),
    "tsne": lambda: tsne_panels({}, LABELS, CLASSES),
    "similarity": lambda: similarity_panels({}, CLASSES),
    "bubble": lambda: bubble([]),
    "slices": lambda: slices_bars({"dait": {}}, "habitat"),
    "counts": lambda: counts_bars([]),
}


def panel_titles(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


@pytest.mark.parametrize("name", FULL)
def test_every_figure_fits_any_page(name: str) -> None:
    figure = FULL[name]()
    layout = figure.layout
    assert layout.autosize is True and layout.width is None
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert layout.uirevision == name
    assert layout.legend.orientation == "h"
    inks = {FULL[name](dark=dark).layout.font.color for dark in (None, False, True)}
    assert len(inks) == 3
    json.loads(figure.to_json())


@pytest.mark.parametrize("name", EMPTY)
def test_a_figure_without_data_says_so(name: str) -> None:
    figure = EMPTY[name]()
    assert not figure.data
    (sentence,) = panel_titles(figure)
    assert sentence.endswith(".")
    assert figure.layout.uirevision == name


def test_curves_are_in_the_arms_colours_and_dash_the_other_network() -> None:
    figure = learning_curves(
        {
            "direct-s0": rows("student", 5, 0.3),
            "dait-s0": rows("intermediate teacher", 4, 0.5) + rows("student", 5, 0.4),
        }
    )
    top1 = {trace.name: trace for trace in figure.data if trace.showlegend}
    assert list(top1) == [
        "Direct distillation, seed 0",
        "DAIT, seed 0: intermediate teacher",
        "DAIT, seed 0",
    ]
    assert top1["DAIT, seed 0"].line.color == ARM_COLOURS["dait"]
    assert top1["DAIT, seed 0"].line.dash == "solid"
    assert top1["DAIT, seed 0: intermediate teacher"].line.color == ARM_COLOURS["intermediate"]
    assert top1["DAIT, seed 0: intermediate teacher"].line.dash == "dash"
    assert list(top1["DAIT, seed 0"].y) == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4])
    losses = [trace for trace in figure.data if not trace.showlegend]
    assert len(losses) == 3 and list(losses[0].y) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])


def test_seeds_become_one_bar_with_their_spread() -> None:
    figure = accuracy_bars(results())
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [bar.marker.color for bar in bars] == [ARM_COLOURS[arm] for arm in ARMS]
    assert [bar.y[0] for bar in bars] == pytest.approx([0.31, 0.36, 0.41])
    assert bars[0].error_y.array[0] == pytest.approx(np.std([0.3, 0.32], ddof=1))
    dots = [trace for trace in figure.data if trace.type == "scatter"]
    assert list(dots[0].y) == pytest.approx([0.3, 0.32])


def test_one_seed_shows_its_interval() -> None:
    figure = accuracy_bars([results()[0]])
    (bar,) = figure.data
    assert bar.error_y.array[0] == pytest.approx(0.05)
    assert bar.error_y.arrayminus[0] == pytest.approx(0.04)
    assert "95 % interval 26.0 % to 35.0 %" in bar.hovertemplate


def test_a_sweep_keeps_its_own_titles_and_the_dashed_reference() -> None:
    sweep = [
        {"arm": "dait", "title": f"T: {name}", "top1": top}
        for name, top in (("resnet10t", 0.4), ("regnetx_002", 0.5))
    ]
    figure = accuracy_bars(sweep, {"Direct distillation": 0.45})
    assert [bar.x[0] for bar in figure.data] == ["T: resnet10t", "T: regnetx_002"]
    (line,) = figure.layout.shapes
    assert line.y0 == line.y1 == 0.45 and line.line.dash == "dash"
    assert line.name == "Direct distillation 45.0 %" and line.showlegend


def test_slices_stand_side_by_side() -> None:
    figure = slices_bars(
        {"independent": {"reed": 0.2, "sky": 0.3}, "dait": {"sky": 0.5}}, "habitat"
    )
    assert figure.layout.barmode == "group"
    one, other = figure.data
    assert list(one.x) == list(other.x) == ["reed", "sky"]
    assert list(other.y) == [None, 0.5]
    assert other.marker.color == ARM_COLOURS["dait"]


def test_tsne_panels_share_images_colours_and_axes() -> None:
    ids = [f"test/{index}" for index in range(12)]
    figure = tsne_panels(coordinates(), LABELS, CLASSES, GROUPS, ids)
    assert panel_titles(figure) == ["Independent student", "Direct distillation", "DAIT"]
    assert [trace.name for trace in figure.data] == ["wren", "owl"] * 3
    assert [trace.showlegend for trace in figure.data] == [True, True] + [False] * 4
    first, second = figure.data[0], figure.data[2]
    assert first.marker.color == second.marker.color
    assert [list(row) for row in first.customdata] == [list(row) for row in second.customdata]
    assert list(first.customdata[3]) == [3, "test/3", "blue wren"]
    ranges = {tuple(figure.layout[axis].range) for axis in ("xaxis", "xaxis2", "yaxis", "yaxis3")}
    assert len(ranges) == 1
    assert [figure.layout[f"yaxis{i}"].scaleanchor for i in ("", 2, 3)] == ["x", "x2", "x3"]
    points = {tuple(p) for t in figure.data[:2] for p in zip(t.x, t.y, strict=True)}
    placed = coordinates()["independent"]
    assert points == {tuple(p) for p in placed / np.abs(placed).max()}


def test_a_wide_tsne_map_does_not_shrink_the_others() -> None:
    wide = coordinates() | {"dait": 100 * coordinates()["dait"]}
    reach = [
        max(
            np.abs([*trace.x, *trace.y]).max()
            for trace in tsne_panels(wide, LABELS, CLASSES).data
            if trace.xaxis == axis
        )
        for axis in ("x", "x2", "x3")
    ]
    assert reach == pytest.approx([1.0, 1.0, 1.0])


def test_classes_of_a_group_differ_by_symbol() -> None:
    figure = tsne_panels(coordinates(), LABELS, CLASSES, GROUPS)
    wrens = figure.data[0]
    assert len(set(wrens.marker.color)) == 1 and len(set(wrens.marker.symbol)) == 2


def test_names_from_outside_are_shown_as_text() -> None:
    figure = tsne_panels(coordinates(), LABELS, CLASSES, GROUPS)
    named = {row[2] for trace in figure.data for row in trace.customdata}
    assert "&lt;b&gt;snowy&lt;/b&gt; owl" in named
    assert "<b>snowy</b> owl" not in named
    assert "<i>" not in accuracy_bars([{"arm": "<i>x</i>", "top1": 0.1}]).to_json()


def test_many_classes_make_no_legend() -> None:
    labels = np.arange(12)
    coordinates_ = {"dait": np.random.default_rng(0).normal(size=(12, 2))}
    figure = tsne_panels(coordinates_, labels, [f"class {i}" for i in range(13)])
    assert [trace.showlegend for trace in figure.data] == [False]
    assert len(figure.data[0].x) == 12


def test_panels_stack_on_a_narrow_screen() -> None:
    wide, narrow = (tsne_panels(coordinates(), LABELS, CLASSES, columns=c) for c in (3, 1))
    assert wide.layout.xaxis.domain != wide.layout.xaxis2.domain
    assert narrow.layout.xaxis.domain == narrow.layout.xaxis2.domain == (0.0, 1.0)
    assert narrow.layout.height > 2 * wide.layout.height


def test_similarity_has_one_scale_for_all_panels() -> None:
    figure = similarity_panels(matrices(), CLASSES, GROUPS)
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}
    assert figure.layout.coloraxis.cmin == pytest.approx(-0.3)
    assert figure.layout.coloraxis.cmax == 1.0


def test_similarity_puts_groups_together() -> None:
    mixed = ["wren", "owl", "wren", "owl"]
    figure = similarity_panels({"dait": matrices()["independent"]}, CLASSES, mixed)
    (panel,) = figure.data
    order = [0, 2, 1, 3]
    expected = matrices()["independent"][np.ix_(order, order)]
    np.testing.assert_allclose(np.asarray(panel.z, dtype=float), expected)
    assert panel.customdata[0][1][1] == CLASSES[2]
    assert list(figure.layout.xaxis.ticktext) == ["wren", "owl"]
    assert {shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1} == {1.5}


def test_a_class_without_images_leaves_a_gap() -> None:
    matrix = matrices()["dait"].copy()
    matrix[2] = matrix[:, 2] = np.nan
    figure = similarity_panels({"dait": matrix}, CLASSES)
    assert np.isnan(np.asarray(figure.data[0].z, dtype=float)[2]).all()
    assert np.isfinite(figure.layout.coloraxis.cmin)


def test_bubbles_grow_with_latency_and_mark_the_intermediate_teacher() -> None:
    figure = bubble(bubble_rows(results()))
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name) == [
        "Independent student",
        "Direct distillation",
        "DAIT",
        "Intermediate teacher",
    ]
    slow, fast = (
        by_name[name].marker.size[0] for name in ("Independent student", "Direct distillation")
    )
    assert (slow / fast) ** 2 == pytest.approx(8.0 / 2.0)
    teacher = by_name["Intermediate teacher"]
    assert teacher.marker.symbol == "diamond" and by_name["DAIT"].marker.symbol == "circle"
    assert list(teacher.x) == [1_200_000] * 2 and "resnet10t" in teacher.text[0]
    assert "2,800,000 parameters" in by_name["DAIT"].text[0]
    assert figure.layout.xaxis.type == "log"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="12 labels"):
        tsne_panels({"dait": np.zeros((3, 2))}, LABELS, CLASSES)
    with pytest.raises(ValueError, match="4 classes"):
        similarity_panels({"dait": np.eye(3)}, CLASSES)


def test_counts_stack_the_splits_of_a_class() -> None:
    figure = counts_bars(count_rows(3))
    assert figure.layout.barmode == "stack"
    assert [(bar.name, list(bar.y)) for bar in figure.data] == [
        ("Training", [5, 6, 7]),
        ("Validation", [1, 1, 1]),
        ("Test", [0, 1, 2]),
    ]
    assert list(figure.layout.xaxis.ticktext) == [f"&lt;i&gt;{k}&lt;/i&gt;" for k in range(3)]


def test_counts_of_many_classes_are_named_on_hover_alone() -> None:
    figure = counts_bars(count_rows(200))
    assert list(figure.layout.xaxis.ticktext) == []
    assert figure.data[0].customdata[199] == "&lt;i&gt;199&lt;/i&gt;"
    assert figure.layout.xaxis.title.text == "200 classes"


def test_what_taught_in_one_arm_alone_is_in_the_bars_and_bubbles() -> None:
    figures = {"network": "resnet34", "parameters": 21_000_000, "latency_ms": 4.0}
    taught = {"assistant": {**figures, "title": "assistant", "top1": 0.6}}
    result = {"arm": "takd", "seed": 1, "parameters": 77, "top1": 0.5, "between": taught}
    (row,) = teacher_rows([result])
    assert (row["arm"], row["seed"], row["top1"]) == ("assistant", 1, 0.6)
    bars = accuracy_bars([row, result])
    assert "Teaching<br>assistant" in {trace.x[0] for trace in bars.data}
    traces = {trace.name: trace for trace in bubble(bubble_rows([result])).data}
    assert traces["Teaching assistant"].marker.symbol == "square"
    assert "resnet34" in traces["Teaching assistant"].text[0]
    assert traces["Teacher assistant"].marker.symbol == "circle"


def test_a_study_without_teachers_has_rows_of_none() -> None:
    assert teacher_rows([{"arm": "direct", "top1": 0.5, "intermediate": None, "between": {}}]) == []


@pytest.mark.parametrize(("count", "at_most", "rows"), [(2, 3, 1), (4, 3, 2), (5, 3, 2), (5, 2, 3)])
def test_no_panel_has_an_empty_cell_beside_it(count: int, at_most: int, rows: int) -> None:
    figure, cells, found, columns = panels([f"{n}" for n in range(count)], at_most, 40, 300)
    assert found == rows == cells[-1][0] and columns <= at_most
    for row in range(1, rows + 1):
        edges = [
            edge for at in cells if at[0] == row for edge in figure.get_subplot(*at).xaxis.domain
        ]
        assert edges[0] == pytest.approx(1 - edges[-1])  # as much room on either side
    titles = figure.layout.annotations
    for place, at in enumerate(cells):
        low, high = figure.get_subplot(*at).xaxis.domain
        assert titles[place].x == pytest.approx((low + high) / 2)
