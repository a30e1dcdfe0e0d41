"""A training computes on the device that was chosen for it, also after it was retried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from trainers import ORDER, jobs_of, wait_for

from app.server.loader import engine
from app.studies.order import order_of
from app.train import tab
from dait.errors import UserError
from dait.runs.folder import StudyFolder

SAYS = """
import os, sys
from dait.runs.folder import StudyFolder
study = StudyFolder(sys.argv[1])
study.start_work(state="training")
study.write_status(state="stopped", message=os.environ.get("DAIT_DEVICE", "none"))
"""


def test_the_trainer_is_given_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAIT_DEVICE", raising=False)
    queue = jobs_of(tmp_path, SAYS)
    for device, said in (("cpu", "cpu"), ("", "none")):
        study = StudyFolder(tmp_path / queue.start(replace(ORDER, device=device)))
        wait_for(lambda study=study: study.state() == "stopped")  # type: ignore[misc]
        assert study.status()["message"] == said
        assert order_of(study).device == device


def test_only_devices_of_this_machine_are_taken() -> None:
    default = engine().devices()[0]
    assert tab._device(None) == tab._device(default) == ""
    with pytest.raises(UserError, match="no other device"):
        tab._device("tpu")
