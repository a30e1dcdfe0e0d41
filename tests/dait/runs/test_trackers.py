from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import EpochDone, Event, StageSkipped, StageStarted, StepDone, ignore
from dait.runs.trackers import TrackerSink, parse_trackers
from dait.study.plan import begin_study, read_plan
from dait.study.train import run_study, train_study


class Notebook:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, float]]] = []

    def log(self, figures: dict[str, float], step: int) -> None:
        self.told.append((step, figures))


def test_steps_go_on_over_the_stages() -> None:
    notebook = Notebook()
    sink = TrackerSink([notebook])
    events: list[Event] = [
        StageStarted("teacher", 0, 2, 1, 10),
        StepDone("teacher", 0, 10, 1.0),
        EpochDone("teacher", 0, 1, 1.5, {"cls": 1.0}, val_top1=0.5, learning_rate=0.1),
        StageStarted("student", 1, 2, 2, 20, done=10),
        StepDone("student", 1, 20, 1.0),
        EpochDone("student", 1, 2, 0.5),
    ]
    for event in events:
        sink(event)
    sink.result({"top1": 0.25, "top5": float("nan"), "arm": "dait"})
    (first, teacher), (second, student), (last, test) = notebook.told
    assert (first, second, last) == (10, 30, 30)
    assert teacher["teacher/loss"] == 1.5 and teacher["teacher/cls"] == 1.0
    assert teacher["teacher/val_top1"] == 0.5 and teacher["teacher/learning_rate"] == 0.1
    assert student["student/loss"] == 0.5 and "student/val_top1" not in student  # it is not known
    assert test == {"test/top1": 0.25}


def test_a_stage_that_was_kept_counts_too() -> None:
    notebook = Notebook()
    sink = TrackerSink([notebook])
    sink(StageSkipped("teacher", 0, 2, 10))
    sink(StageStarted("student", 1, 2, 1, 20))
    sink(StepDone("student", 0, 20, 1.0))
    sink(EpochDone("student", 0, 1, 0.5))
    assert [step for step, _ in notebook.told] == [30]


def test_unknown_and_missing_trackers_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no tracker 'tensorbord'\. Known: tensorboard, wandb"):
        parse_trackers(["tensorbord"])
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="needs the package wandb: pip install wandb"):
        parse_trackers(["wandb"])
    assert parse_trackers([]) == ()


@pytest.mark.slow
def test_tensorboard_reads_what_a_run_wrote(small_recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (result,) = run_study(
        small_recipe, ["dait"], [0], tmp_path, ignore, trackers=parse_trackers(["tensorboard"] * 2)
    )
    found = EventAccumulator(str(tmp_path / "tensorboard" / "dait-s0"))
    found.Reload()
    steps = {name: [row.step for row in found.Scalars(name)] for name in found.Tags()["scalars"]}
    assert steps["intermediate teacher/loss"] == [3, 6]
    assert steps["student/loss"] == steps["student/val_top1"] == [9, 12]
    (top1,) = found.Scalars("test/top1")
    assert top1.value == pytest.approx(result["top1"])
    # A finished study is read again without a word to anybody.
    train_study(read_plan(begin_study(small_recipe, ["dait"], [0], tmp_path, True).folder), ignore)
    assert len(list((tmp_path / "tensorboard" / "dait-s0").glob("events*"))) == 1
