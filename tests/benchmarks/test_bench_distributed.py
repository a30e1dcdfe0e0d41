"""``python -m dait bench distributed`` on the smallest recipe."""

from __future__ import annotations

import json

import pytest

from dait.cli import main


def test_one_epoch_is_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "distributed", "--epochs", "1"]) == 2
    assert "from 2" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_are_put_beside_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--recipe", "tiny", "--epochs", "2", "--processes", "1", "2", "--workers", "0"]
    assert main(["bench", "distributed", *words, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["gloo_1_efficiency"] == 1 and figures["gloo_2_images_s"] > 0
    assert "ray_s" not in figures
