"""The benchmark of images measures real files, and leaves none behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from benchmarks.data import measure_entries, measure_files, measure_generate
from dait.cli import main
from dait.errors import UserError


def test_every_figure_is_there_and_positive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    figures = measure_files(None, 16, drawn=40, least_seconds=0) | measure_generate(16, count=8)
    assert {"generate", "decode", "store", "epoch_decode_s", "epoch_store_s", "peak_mib"} <= set(
        figures
    )
    assert all(value > 0 for value in figures.values())
    assert figures["images"] == 24 and figures["peak_mib"] >= figures["peak_build_mib"]
    assert figures["decode"] == pytest.approx(24 / figures["epoch_decode_s"])
    assert list(tmp_path.iterdir()) == []


def test_many_entries_repeat_few_files() -> None:
    figures = measure_entries(300, 16, least_seconds=0)
    assert figures["entries"] == 300 and all(value > 0 for value in figures.values())
    assert figures["store_mib"] == pytest.approx(300 * 18 * 18 * 3 / 2**20)  # with the margin


def test_a_source_without_files_is_refused() -> None:
    with pytest.raises(UserError, match="‘fieldguide’ has no image files"):
        measure_files("fieldguide", 16)


def test_the_command_ends_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "data", "--entries", "20", "--size", "16", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["entries"] == 20
    assert main(["bench", "data", "--entries", "3"]) == 2
    assert "16 or more" in capsys.readouterr().err
