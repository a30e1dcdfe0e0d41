"""A figure as a file: its data as a table, a page of its own, a picture."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
from PIL import Image

from dait.errors import UserError
from dait.evaluation.metrics import Reliability
from dait.evidence.figures import (
    accuracy_bars,
    confusion_panels,
    gain_bars,
    learning_curves,
    reliability_panels,
    similarity_panels,
    slices_bars,
    tsne_panels,
)
from dait.evidence.figures.export import export_figure, figure_html, on_paper
from dait.evidence.figures.rows import figure_csv, figure_rows

NAMES = ["red wren", "barn owl", "<b>blue</b> wren"]
GROUPS = ["wren", "owl", "wren"]
LABELS = np.array([0, 1, 2, 2])
PLACES = np.array([[0.0, 2.0], [1.0, -1.0], [0.5, 0.5], [-2.0, 1.0]])
MATRIX = np.array([[3, 0, 1], [0, 2, 2], [0, 0, 4]])
BINS = Reliability(
    count=np.array([0, 6, 4]),
    confidence=np.array([np.nan, 0.5, 0.9]),
    accuracy=np.array([np.nan, 0.3, 1.0]),
)


def as_the_page_has_it(figure: go.Figure) -> go.Figure:
    """Through JSON, which packs numbers."""
    return plotly.io.from_json(figure.to_json())


def tsne() -> go.Figure:
    ids = [f"test/{index}" for index in range(4)]
    return tsne_panels(
        {"direct": PLACES, "dait": -PLACES}, LABELS, NAMES, GROUPS, ids, indices=[7, 8, 9, 4]
    )


def test_every_point_of_every_panel_is_a_row() -> None:
    rows = figure_rows(as_the_page_has_it(tsne()))
    assert len(rows) == 8
    own = {row["index"]: row for row in rows if row["network"] == "DAIT"}
    assert own[9] == {"network": "DAIT", "index": 9, "image": "test/2", "class": NAMES[2],
                      "x": -0.25, "y": -0.25}  # fmt: skip


def test_the_cells_of_a_confusion_matrix_have_their_counts() -> None:
    rows = figure_rows(as_the_page_has_it(confusion_panels({"dait-s1": MATRIX}, NAMES, GROUPS)))
    found = {(row["shown"], row["taken_for"]): (row["count"], row["images"]) for row in rows}
    assert found == {
        (NAMES[0], NAMES[0]): (3, 4),
        (NAMES[0], NAMES[2]): (1, 4),
        (NAMES[1], NAMES[1]): (2, 4),
        (NAMES[1], NAMES[2]): (2, 4),
        (NAMES[2], NAMES[2]): (4, 4),
    }
    assert {row["network"] for row in rows} == {"DAIT, seed 1"}
    assert rows[0]["share"] == 0.75


def test_similarities_leave_out_what_is_not_known() -> None:
    matrix = np.array([[1.0, 0.5, np.nan], [0.5, 1.0, np.nan], [np.nan] * 3])
    rows = figure_rows(as_the_page_has_it(similarity_panels({"dait": matrix}, NAMES)))
    assert [(row["class"], row["other"], row["cosine"]) for row in rows] == [
        (NAMES[0], NAMES[0], 1.0),
        (NAMES[0], NAMES[1], 0.5),
        (NAMES[1], NAMES[0], 0.5),
        (NAMES[1], NAMES[1], 1.0),
    ]


def test_gains_and_confidences_by_name() -> None:
    gained = [
        {"index": 1, "name": NAMES[2], "n": 25, "ours": 0.7, "theirs": 0.5, "gain": 0.2, "sd": 0.1},
        {"index": 0, "name": NAMES[0], "n": 20, "ours": 0.1, "theirs": 0.5, "gain": -0.4, "sd": 0},
    ]
    first, second = figure_rows(as_the_page_has_it(gain_bars(gained, "dait", "direct")))
    assert first == {"class": NAMES[2], "images": 25, "ours": 0.7, "theirs": 0.5, "gain": 0.2,
                     "sd": 0.1, "ahead": "DAIT"}  # fmt: skip
    assert (second["gain"], second["ahead"]) == (-0.4, "Direct distillation")
    rows = figure_rows(as_the_page_has_it(reliability_panels({"dait": BINS, "direct": BINS})))
    assert [row["network"] for row in rows] == ["DAIT"] * 2 + ["Direct distillation"] * 2
    assert [row["answers"] for row in rows[:2]] == [6, 4]
    assert rows[1]["to"] == pytest.approx(1) and rows[1]["from"] == pytest.approx(2 / 3)
    assert rows[0]["confidence"] == pytest.approx(0.5) and rows[0]["accuracy"] == 0.3


def test_other_figures_are_named_by_their_axes() -> None:
    bars = accuracy_bars(
        [{"arm": "dait", "top1": 0.4, "top1_interval": [0.35, 0.47]}], {"chance": 0.1}
    )
    arm, chance = figure_rows(as_the_page_has_it(bars))
    assert arm["x"] == "DAIT" and arm["test top-1"] == 0.4
    assert arm["test top-1 less"] == pytest.approx(0.05)
    assert arm["test top-1 more"] == pytest.approx(0.07)
    assert chance == {"series": "chance 10.0 %", "test top-1": 0.1}
    parts = figure_rows(slices_bars({"dait": {"snow": 0.5, "marsh": 0.25}}, "habitat"))
    assert parts[1] == {"series": "DAIT", "habitat": "marsh", "test top-1": 0.25}
    epochs = [{"stage": "student", "epoch": e, "epochs": 2, "loss": 1.0, "val_top1": 0.1 * e}
              for e in (1, 2)]  # fmt: skip
    assert any(0.2 in row.values() for row in figure_rows(learning_curves({"dait-s0": epochs})))


def test_a_table_can_be_read_again_and_holds_no_formula() -> None:
    figure = slices_bars({"dait": {"=1+1": 0.5, 'a "b", c': 0.25}}, "habitat")
    first, second = csv.DictReader(io.StringIO(figure_csv(figure)))
    assert first["habitat"] == "'=1+1" and second["habitat"] == 'a "b", c'
    assert float(second["test top-1"]) == 0.25
    assert figure_csv(slices_bars({})).strip() == ""


def test_a_page_needs_nothing_else_and_has_dark_ink() -> None:
    figure = tsne()
    page = figure_html(figure, "t-SNE <of> birds")
    assert "<title>t-SNE &lt;of&gt; birds</title>" in page
    assert "Plotly.newPlot" in page and len(page) > 1_000_000
    assert "<script src" not in page and "stylesheet" not in page.split("<script")[0]
    shown = on_paper(figure)
    assert shown.layout.font.color == "#2B2F36" and shown.layout.paper_bgcolor == "#FFFFFF"
    assert figure.layout.font.color == "#808080"
    assert export_figure(figure, "csv", "").startswith(b"\xef\xbb\xbfnetwork,index,image")


def test_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="html, csv, png, svg"):
        export_figure(tsne(), "exe", "")


def test_without_kaleido_the_sentence_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(UserError, match=r"requirements-optional\.txt"):
        export_figure(tsne(), "png", "")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("kaleido") is None, reason="kaleido is optional")
def test_a_picture_is_drawn(tmp_path: Path) -> None:
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        with pytest.raises(UserError, match="Chromium"):
            export_figure(tsne(), "png", "")
        return
    png, svg = (export_figure(tsne(), kind, "") for kind in ("png", "svg"))
    (tmp_path / "figure.png").write_bytes(png)
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.width == 2400 and picture.convert("RGB").getpixel((0, 0)) == (255,) * 3
    assert svg.startswith(b"<svg") and b"DAIT" in svg
