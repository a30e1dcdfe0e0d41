from __future__ import annotations

import io
from pathlib import Path

import pytest

from dait.errors import UserError
from dait.events import (
    EpochDone,
    Event,
    Note,
    Progress,
    StageDone,
    StageSkipped,
    StageStarted,
    StepDone,
)
from dait.runs.folder import RunFolder, StudyFolder
from dait.runs.sinks import (
    RunSink,
    StagePlan,
    StudySink,
    TerminalSink,
    fan_out,
)

PLAN = [StagePlan("adapt", 10), StagePlan("distil", 30)]


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_run_sink_fills_the_run_folder(tmp_path: Path) -> None:
    clock = Clock()
    run = RunFolder(tmp_path)
    sink = RunSink(run, PLAN, clock)
    sink(Note("hello"))
    sink(StageStarted("adapt", 0, 2, 2, 10))
    assert run.status()["state"] == "training" and run.status()["stage_count"] == 2
    for step in range(1, 6):
        clock.now += 1
        sink(StepDone("adapt", 0, step, 1.5))
    status = run.status()
    assert (status["epoch"], status["epochs"], status["stage_index"]) == (1, 2, 0)
    assert status["progress"] == pytest.approx(5 / 40)
    assert status["eta_seconds"] == pytest.approx(35)
    sink(EpochDone("adapt", 0, 2, 1.5, {"cls": 1.0}, 0.25, 2.0, 1e-3, 321.0, 5.0))
    sink(StageDone("adapt", 0.25, 5.0))
    assert run.status()["progress"] == pytest.approx(0.25)
    (row,) = run.metrics()
    assert row["epoch"] == 1 and row["val_top1"] == 0.25 and row["parts"] == {"cls": 1.0}
    assert row["learning_rate"] == 1e-3 and row["val_loss"] == 2.0 and row["seconds"] == 5.0
    log = run.log_text()
    assert "hello" in log and "stage 1 of 2: adapt, 2 epochs, 10 steps" in log
    assert "adapt, epoch 1 of 2: loss 1.5000, cls 1.0000, validation top-1 25.0%" in log
    assert "adapt done in 5.0 s, validation top-1 25.0%" in log


def test_status_is_written_twice_a_second_at_most_but_ends_at_once(tmp_path: Path) -> None:
    clock = Clock()
    run = RunFolder(tmp_path)
    sink = RunSink(run, PLAN, clock)
    sink(StageStarted("adapt", 0, 2, 1, 10))
    for step, expected in ((1, 0), (2, 0), (3, 3), (4, 3)):
        clock.now += 0.2
        sink(StepDone("adapt", 0, step, 1.0))
        assert run.status()["progress"] == pytest.approx(expected / 40)
    sink(EpochDone("adapt", 0, 1, 1.0))
    assert run.status()["progress"] == pytest.approx(4 / 40)
    sink(Progress("caching", 1, 2000))
    assert "epoch 1 of 1" in run.status()["message"]
    sink(Progress("caching", 2000, 2000))
    assert run.status()["message"] == "caching: 2,000 of 2,000 images"


def test_a_sink_that_cannot_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="Could not write"):
        RunSink(RunFolder(tmp_path / "file"), PLAN)(Note("hello"))


def test_study_sink_counts_over_all_runs(tmp_path: Path) -> None:
    clock = Clock()
    study = StudyFolder(tmp_path)
    sink = StudySink(study, [PLAN[1:], PLAN, PLAN[1:]], clock)
    sink.begin_run(1, "dait", 3)  # the first run was finished by an earlier process
    status = study.status()
    assert status["progress"] == pytest.approx(0.3)
    assert (status["run_index"], status["run_count"]) == (1, 3)
    assert (status["arm"], status["seed"]) == ("dait", 3)
    sink(StageStarted("distil", 1, 2, 1, 30))
    for step in range(1, 31):
        clock.now += 1
        sink(StepDone("distil", 0, step, 1.0))
    status = study.status()
    assert status["stage_index"] == 1 and status["progress"] == pytest.approx(0.7)
    assert status["eta_seconds"] == pytest.approx(30)


def test_fan_out_keeps_the_order() -> None:
    seen: list[tuple[str, Event]] = []
    emit = fan_out(lambda e: seen.append(("a", e)), lambda e: seen.append(("b", e)))
    emit(Note("x"))
    assert seen == [("a", Note("x")), ("b", Note("x"))]


def test_terminal_shows_bars_on_a_terminal_and_lines_everywhere() -> None:
    events = [
        Progress("caching", 5, 10),
        Progress("caching", 10, 10),
        StageStarted("adapt", 0, 1, 1, 4),
        StepDone("adapt", 0, 3, 1.0),
        Progress("validating", 1, 1),
        StepDone("adapt", 0, 4, 0.5),
        EpochDone("adapt", 0, 1, 0.75),
        StageDone("adapt", 0.5, 1.0),
    ]
    screens = {}
    for stream in (Terminal(), io.StringIO()):
        sink = TerminalSink(stream)
        for event in events:
            sink(event)
        sink.close()
        screens[stream.isatty()] = stream.getvalue()
    for screen in screens.values():
        assert "adapt, epoch 1 of 1: loss 0.7500" in screen
        assert "caching: 10 images" in screen
    assert "1/1 adapt" in screens[True] and "/4" in screens[True]
    assert "/4" not in screens[False] and "\r" not in screens[False]


def test_a_resumed_run_shows_where_it_is_at_once(tmp_path: Path) -> None:
    clock, run = Clock(), RunFolder(tmp_path)
    run.write_status(progress=0.4, eta_seconds=7.0)
    RunSink(run, ())(Note("opening the data"))
    assert run.status()["progress"] == 0.4  # nobody knows better yet
    sink = RunSink(run, PLAN, clock)
    sink(StageSkipped("adapt", 0, 2, 10))
    assert run.status()["progress"] == pytest.approx(0.25)
    assert "stage 1 of 2: adapt was trained before" in run.log_text()
    sink(StageStarted("distil", 1, 2, 3, 30, done=20))
    assert run.status()["progress"] == pytest.approx(0.75)
    assert run.status()["eta_seconds"] is None
    clock.now += 2
    sink(StepDone("distil", 2, 21, 1.0))
    sink(EpochDone("distil", 2, 3, 1.0))
    assert run.status()["eta_seconds"] == pytest.approx(18)


def test_an_epoch_trained_again_has_one_row(tmp_path: Path) -> None:
    first = RunSink(RunFolder(tmp_path), PLAN)
    for epoch in range(3):
        first(EpochDone("adapt", epoch, 3, loss=1.0))
    first(EpochDone("distil", 0, 3, loss=1.0))
    again = RunSink(RunFolder(tmp_path), PLAN)  # cut off, and the last checkpoint was older
    again(EpochDone("adapt", 1, 3, loss=2.0))
    again(EpochDone("adapt", 2, 3, loss=3.0))
    rows = [(row["stage"], row["epoch"], row["loss"]) for row in RunFolder(tmp_path).metrics()]
    assert rows == [
        ("adapt", 1, 1.0), ("distil", 1, 1.0), ("adapt", 2, 2.0), ("adapt", 3, 3.0),
    ]  # fmt: skip


def test_a_study_counts_the_runs_that_were_finished_before(tmp_path: Path) -> None:
    study = StudyFolder(tmp_path)
    sink = StudySink(study, [PLAN, PLAN, PLAN])
    sink.skip_run(2)
    sink.begin_run(0, "dait", 0)
    status = study.status()
    assert status["progress"] == pytest.approx(1 / 3)
    assert (status["run_index"], status["run_count"]) == (0, 3)


def test_a_terminal_begins_a_resumed_stage_where_it_is() -> None:
    stream = Terminal()
    sink = TerminalSink(stream)
    sink(StageStarted("adapt", 0, 1, 1, 40, done=30))
    sink(StepDone("adapt", 0, 31, 1.0))
    sink.close()
    assert "30/40" in stream.getvalue()
