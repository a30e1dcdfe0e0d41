"""What a look at the trainings sends to a page, and what a press answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from app.config import SPACE_LIMITS, AppConfig
from app.queue import runs_panel
from app.queue.runs_panel import PageState, RunsPanel
from app.queue.training_queue import TrainingQueue
from dait.runs.folder import StudyFolder

WIDTH = 1280


def panel_of(config: AppConfig) -> RunsPanel:
    panel = RunsPanel(config, TrainingQueue(config.runs))
    with gr.Blocks():
        panel.lay_out_card()
        panel.lay_out_list()
    return panel


@pytest.fixture
def panel(config: AppConfig) -> RunsPanel:
    return panel_of(config)


def enabled(found: dict[Any, Any], panel: RunsPanel) -> set[str]:
    return {str(a) for a, b in panel.buttons.items() if b in found and found[b]["interactive"]}


def test_what_a_page_shows_already_is_not_sent_again(panel: RunsPanel, config: AppConfig) -> None:
    visitor, study = PageState(), config.runs.studies()[0]
    first = panel.poll(visitor, WIDTH)
    assert first[panel.shown] == study.path.name
    assert "Finished" in first[panel.card] and study.path.name in first[panel.list]
    assert "seeds 0, 1" in first[panel.list]  # a lone 0 would read as none
    assert enabled(first, panel) == {"compare", "again", "rename", "delete"}
    assert panel.poll(visitor, WIDTH) == {panel.shown: study.path.name}
    study.log("a line more")
    assert set(panel.poll(visitor, WIDTH)) == {panel.shown, panel.log}
    assert panel.card in panel.load(visitor, WIDTH)


def test_a_look_that_another_one_overtakes_looks_again(
    panel: RunsPanel, config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, study = PageState(), config.runs.studies()[0]
    panel.poll(visitor, WIDTH)
    real, between = runs_panel.own_studies, []

    def slow(where: AppConfig) -> Any:
        found = real(where)
        if not between:
            between.append(True)
            between.append(panel.rename("another name", study.path.name, visitor, WIDTH))
        return found

    monkeypatch.setattr(runs_panel, "own_studies", slow)
    overtaken = panel.poll(visitor, WIDTH)
    assert "another name" in between[1][panel.card]
    assert overtaken == {panel.shown: study.path.name}  # and not the old name


def test_a_late_answer_does_not_close_the_box_for_a_name(
    panel: RunsPanel, config: AppConfig
) -> None:
    visitor, study = PageState(), config.runs.studies()[0].path.name
    panel.poll(visitor, WIDTH)
    # Another study was shown when it was chosen; the answer reaches the page after the next press.
    late = panel.select("another", visitor, WIDTH, gr.EventData(None, {"study": study}))
    opened = panel.open_renaming(study, visitor, WIDTH)
    assert opened[panel.renaming]["visible"] and opened[panel.name]
    assert panel.renaming not in late
    assert panel.renaming not in panel.rename(" ", study, visitor, WIDTH)
    assert not panel.rename("mine", study, visitor, WIDTH)[panel.renaming]["visible"]
    assert panel.open_renaming(study, visitor, WIDTH)[panel.renaming]["visible"]
    assert not panel.close_renaming(visitor, WIDTH)[panel.renaming]["visible"]


def test_a_slow_press_leaves_what_was_opened_meanwhile(
    panel: RunsPanel, config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, study = PageState(), config.runs.studies()[0].path.name
    panel.poll(state, WIDTH)
    opened = []

    def slow(*_: object) -> str:
        state.study = study
        opened.append(panel.open_renaming(study, state, WIDTH))
        return ""

    monkeypatch.setattr(panel, "_do", slow)
    monkeypatch.setattr(runs_panel, "require", lambda *_: config.runs.studies()[0])
    done = panel.press("cancel", "another", state, WIDTH)
    assert opened[0][panel.renaming]["visible"]
    assert panel.renaming not in done and panel.notice not in done


def test_a_damaged_file_is_said_in_place_of_the_curves(panel: RunsPanel, config: AppConfig) -> None:
    run = config.runs.studies()[0].runs()[0]
    (run.path / "metrics.jsonl").write_text("{\n")
    found = panel.poll(PageState(), WIDTH)
    assert "metrics.jsonl is damaged" in found[panel.card]
    assert found[panel.curves]["visible"] is False


def test_deleted_and_undone(panel: RunsPanel, config: AppConfig) -> None:
    visitor, name = PageState(), config.runs.studies()[0].path.name
    found = panel.press("delete", name, visitor, WIDTH)
    assert "restored for a day" in found[panel.notice] and found[panel.shown] == ""
    assert found[panel.undo]["visible"] and "Studies that you train" in found[panel.list]
    again = panel.press("delete", name, visitor, WIDTH)
    assert "not exist any more" in again[panel.notice]
    back = panel.restore(visitor, WIDTH)
    assert back[panel.shown] == name and not back[panel.undo]["visible"]


def test_a_stranger_neither_deletes_nor_brings_back(panel: RunsPanel, config: AppConfig) -> None:
    name = config.runs.studies()[0].path.name
    space = panel_of(replace(config, limits=SPACE_LIMITS))
    assert enabled(space.poll(PageState(), WIDTH), space) == {"compare", "again"}
    assert "is not possible" in space.press("delete", name, PageState(), WIDTH)[space.notice]
    assert "is not possible" in space.rename("mine", name, PageState(), WIDTH)[space.notice]
    panel.press("delete", name, PageState(), WIDTH)
    found = space.restore(PageState(), WIDTH)
    assert "Duplicate this Space" in found[space.notice] and not found[space.undo]["visible"]
    assert not config.runs.studies()


def test_older_ones_are_shown_on_request(
    panel: RunsPanel, config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        older = StudyFolder(config.runs.path / f"older-{number}")
        older.write_status(state="stopped", started=1.0)
    monkeypatch.setattr(runs_panel, "ROWS", 2)
    visitor = PageState()
    first = panel.poll(visitor, WIDTH)
    assert first[panel.more]["visible"] and "older-0" not in first[panel.list]
    more = panel.show_more(visitor, WIDTH)
    assert not more[panel.more]["visible"] and "older-0" in more[panel.list]


def test_no_studies_no_buttons(empty_config: AppConfig) -> None:
    panel = panel_of(empty_config)
    found = panel.poll(PageState(), WIDTH)
    assert "Nothing has been trained here yet" in found[panel.card]
    assert enabled(found, panel) == set() and found[panel.shown] == ""
