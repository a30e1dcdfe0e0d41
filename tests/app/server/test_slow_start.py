"""The app starts whatever else the machine is doing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dait.storage.paths import ASSETS

START = """
import gradio.networking
gradio.networking.url_ok = lambda url: False  # as where the first answer takes three seconds
from app.launch import start
print(start(block=False))
"""


@pytest.mark.slow
def test_a_machine_that_answers_slowly_is_no_reason_to_end(tmp_path: Path) -> None:
    environment = {**os.environ, "DAIT_RUNS": str(tmp_path / "runs")}
    environment.pop("GRADIO_SERVER_PORT", None)
    started = subprocess.run(
        [sys.executable, "-c", START],
        cwd=ASSETS.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert started.returncode == 0, started.stderr
    assert "http://127.0.0.1:" in started.stdout.splitlines()[-1]
