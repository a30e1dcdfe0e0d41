"""Curves of several studies over each other: what is chosen, and what a page is sent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.config import AppConfig
from app.queue.runs_panel import PageState, RunsPanel
from app.queue.training_queue import TrainingQueue
from dait.runs.folder import StudyFolder

WIDTH = 1280


@pytest.fixture
def panel(config: AppConfig) -> RunsPanel:
    """A page that looks at one of two studies, each with an epoch."""
    (study,) = config.runs.studies()
    other = StudyFolder(config.runs.path / "other-20250101-120000-00000002")
    shutil.copytree(study.path, other.path)
    other.write_status(started=1.0)
    study.write_status(started=2.0)
    for folder, top1 in ((study, 0.25), (other, 0.75)):
        for run in folder.runs():
            row = {"stage": "student", "epoch": 1, "epochs": 2, "loss": 1.5, "val_top1": top1}
            parts = {"classification": 1.0} if run.path.name.startswith("direct") else {}
            run.append_metrics({**row, "parts": parts, "images_per_second": 1000 * top1})
    found = RunsPanel(config, TrainingQueue(config.runs))
    with gr.Blocks():
        found.lay_out_card()
        found.lay_out_list()
    return found


def drawn(found: dict[Any, Any], panel: RunsPanel) -> dict[str, Any]:
    figure: dict[str, Any] = json.loads(found[panel.curves]["value"])
    return figure


def others(found: dict[Any, Any], panel: RunsPanel) -> list[str]:
    return [name for _, name in found[panel.box.beside]["choices"]]


def test_another_study_is_laid_over_it_and_taken_away(panel: RunsPanel) -> None:
    visitor = PageState()
    first = panel.poll(visitor, WIDTH)
    assert others(first, panel) == ["other-20250101-120000-00000002"]
    alone = drawn(first, panel)
    both = drawn(panel.choose_curves("accuracy", others(first, panel), visitor, WIDTH), panel)
    assert len(both["data"]) == 2 * len(alone["data"])
    assert both["layout"]["uirevision"] == alone["layout"]["uirevision"]  # so zoom is kept
    colours = {trace["line"]["color"] for trace in alone["data"]}
    assert {trace["line"]["color"] for trace in both["data"]} == colours
    assert {trace["line"]["dash"] for trace in both["data"]} == {"solid", "dot"}
    names = {trace["name"] for trace in both["data"]}
    assert len(names) == 2 * 3 and "tiny 00000002 · DAIT" in names  # both seeds in one entry
    assert sum(trace["showlegend"] for trace in both["data"]) == 2 * 3
    hovers = {trace["hovertemplate"].split("<br>")[0] for trace in both["data"]}
    assert "tiny 00000002 · DAIT, seed 1" in hovers
    again = drawn(panel.choose_curves("accuracy", [], visitor, WIDTH), panel)
    assert again["data"] == alone["data"]


def test_an_epoch_of_the_other_is_sent_too(panel: RunsPanel, config: AppConfig) -> None:
    visitor = PageState()
    name = others(panel.poll(visitor, WIDTH), panel)[0]
    panel.choose_curves("accuracy", [name], visitor, WIDTH)
    assert panel.curves not in panel.poll(visitor, WIDTH)
    run = StudyFolder(config.runs.resolve(name)).runs()[0]
    run.append_metrics({"stage": "student", "epoch": 2, "epochs": 2, "loss": 1.0, "val_top1": 0.9})
    assert panel.curves in panel.poll(visitor, WIDTH)


def test_speed_and_the_parts_of_the_losses(panel: RunsPanel) -> None:
    visitor = PageState()
    panel.poll(visitor, WIDTH)
    speed = drawn(panel.choose_curves("speed", [], visitor, WIDTH), panel)
    assert speed["layout"]["annotations"][0]["text"] == "Training images a second"
    assert len(speed["data"]) == 6
    parts = drawn(panel.choose_curves("parts", [], visitor, WIDTH), panel)
    assert [note["text"] for note in parts["layout"]["annotations"]] == ["Classification"]
    assert {trace["name"].split(",")[0] for trace in parts["data"]} == {"Direct distillation"}


def test_what_is_gone_or_was_never_there_is_left_out(panel: RunsPanel, config: AppConfig) -> None:
    visitor = PageState()
    first = panel.poll(visitor, WIDTH)
    name = others(first, panel)[0]
    for beside in (["../../etc"], "text", None, [first[panel.shown]]):
        found = panel.choose_curves("nonsense", beside, visitor, WIDTH)
        assert panel.curves not in found  # nothing has changed
    panel.choose_curves("accuracy", [name], visitor, WIDTH)
    shutil.rmtree(Path(config.runs.path) / name)
    assert drawn(panel.poll(visitor, WIDTH), panel)["data"] == drawn(first, panel)["data"]


def test_without_an_epoch_there_is_nothing_to_choose(panel: RunsPanel, config: AppConfig) -> None:
    for study in config.runs.studies():
        for run in study.runs():
            (run.path / "metrics.jsonl").unlink()
    found = panel.poll(PageState(), WIDTH)
    assert found[panel.curves]["visible"] is False
    assert found[panel.box.row]["visible"] is False
