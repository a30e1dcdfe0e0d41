"""A sweep goes through the queue as a study does, and its chart and choice are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from trainers import ORDER, jobs_of, wait_for

from app.config import SPACE_LIMITS, AppConfig
from app.policy import Policy
from app.queue.actions import allowed
from app.queue.training_queue import TrainingQueue
from app.queue.watch import card, curves
from app.studies.entries import entry_of, finished_studies
from app.studies.order import order_of
from app.train.command import command_line
from app.train.form import AS_IN_RECIPE, FormValues
from app.train.sweep_box import read_values, settings, sweep_order
from dait.errors import UserError
from dait.runs.folder import RunsRoot, StudyFolder

FORM = FormValues(
    recipe="tiny",
    data=AS_IN_RECIPE,
    arms=["independent"],
    seed_count=1,
    first_seed=0,
    epochs=1,
    student=AS_IN_RECIPE,
    intermediate=AS_IN_RECIPE,
)


def order_for(config: AppConfig, setting: str, values: str) -> object:
    return sweep_order(config, setting, values, *vars(FORM).values())


def test_what_is_typed_is_read_or_refused(empty_config: AppConfig) -> None:
    assert read_values(" 0, 1,5, 1 ") == (0, 1, 5)
    assert read_values("cosine, step") == ("cosine", "step")
    for wrong in ("", "0, [1", "{a: 1}", None, "x" * 900):
        with pytest.raises(UserError, match="separated by commas"):
            read_values(wrong)
    keys = [key for _, key in settings()]
    assert {"train.learning_rate", "dait.spatial_weight", "train.schedule"} <= set(keys)
    with pytest.raises(UserError, match="Choose the setting"):
        order_for(empty_config, "data.source", "1")
    with pytest.raises(UserError, match="label_smoothing"):
        order_for(empty_config, "train.label_smoothing", "0.1, 7")
    with pytest.raises(UserError, match="at most 20"):
        order_for(empty_config, "train.epochs", ", ".join(map(str, range(1, 30))))
    with pytest.raises(UserError, match="no sweep is"):
        order_for(replace(empty_config, limits=SPACE_LIMITS), "train.mixup", "0.1")


def test_the_command_runs_the_same(empty_config: AppConfig) -> None:
    order = order_for(empty_config, "train.label_smoothing", "0.1, 0.2")
    line = command_line(empty_config, order)  # type: ignore[arg-type]
    assert line.startswith("python -m dait sweep tiny") and "label_smoothing=[0.1, 0.2]" in line


def test_it_waits_and_is_asked_for_again(tmp_path: Path) -> None:
    queue = jobs_of(tmp_path, "raise SystemExit(3)")
    order = replace(ORDER, vary=("train.mixup", (0.1, 0.2)))
    study = StudyFolder(tmp_path / queue.start(order))
    assert order_of(study).vary == order.vary
    assert entry_of(study, shipped=False).title.startswith("Sweep over train.mixup")
    wait_for(lambda: study.state() == "failed")


@pytest.mark.slow
def test_a_sweep_is_trained_and_shown(empty_config: AppConfig) -> None:
    queue = TrainingQueue(
        RunsRoot(empty_config.runs.path), allow=Policy(empty_config).require_order
    )
    order = order_for(empty_config, "train.label_smoothing", "0.1")
    study = StudyFolder(empty_config.runs.path / queue.start(order))  # type: ignore[arg-type]
    wait_for(lambda: study.state() in ("finished", "failed"), 280)
    entry = entry_of(study, shipped=False)
    assert entry.state == "finished" and entry.varies == "train.label_smoothing", entry.message
    assert finished_studies(empty_config) == []
    assert "compare" not in allowed(empty_config, entry)
    assert "train.label_smoothing=" in card(study, entry) and "on validation" in card(study, entry)
    (line,) = json.loads(curves({"sweep": study}) or "")["data"]
    assert len(line["x"]) == 2 and any("(recipe)" in value for value in line["x"])
