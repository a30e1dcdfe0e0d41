"""The real trainer, as the queue starts it, ended while it prepares."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from trainers import wait_for

from app.queue.training_queue import TrainingQueue
from app.studies.order import Order
from app.studies.ticket import process_of, state_of
from dait.config.recipe import load_recipe
from dait.runs.folder import RunsRoot, StudyFolder

pytestmark = pytest.mark.slow

MOST_SECONDS = 5.0
"""A cancelled training is gone after so long, whatever it was about."""


def test_cancelled_while_it_draws_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAIT_CACHE", str(tmp_path / "cache"))  # so that there is much to draw
    queue = TrainingQueue(RunsRoot(tmp_path / "runs"))
    study = StudyFolder(
        queue.runs.resolve(queue.start(Order(load_recipe("demo"), ("dait",), (0,))))
    )
    wait_for(lambda: "rawing" in study.status().get("message", ""), seconds=200)
    process = process_of(study)
    assert process is not None and study.state() == "preparing"
    members = [psutil.Process(process[0]), *psutil.Process(process[0]).children(recursive=True)]
    began = time.monotonic()
    queue.cancel(study.path.name)
    assert time.monotonic() - began < MOST_SECONDS
    assert not any(member.is_running() and member.status() != "zombie" for member in members)
    assert state_of(study) == "stopped"
