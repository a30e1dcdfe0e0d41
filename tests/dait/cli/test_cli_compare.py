"""``python -m dait compare``: the page is written, and its figures are those of ``evaluate``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.slow
def test_its_figures_are_those_of_evaluate(
    command: Callable[..., int],
    tiny_study: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = Path(shutil.copytree(tiny_study, tmp_path / "study"))
    page = tmp_path / "report.html"
    assert command("compare", study, "--out", page, "--images", 1, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["out"] == str(page) and page.read_text().startswith("<!doctype html>")
    assert command("evaluate", study, "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    for row in found["table"]:
        own = {key: row[key] for key in told["arms"][row["name"]]}
        assert own == told["arms"][row["name"]]
        if row["gain"] is not None:
            assert row["gain"] == told["gains"]["arms"][row["name"]]["top1"]
    # The report also corrects p for its number of tests.
    own_keys = [{k: row[k] for k in told["mcnemar"][0]} for row in found["mcnemar"]]
    assert own_keys == told["mcnemar"]
    assert all(row["corrected"] >= row["p"] for row in found["mcnemar"])


def test_a_number_of_images_that_will_not_do(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("compare", tmp_path, "--out", tmp_path / "r.html", "--images", 0) == 2
    assert "--images is a number from 1" in capsys.readouterr().err
