"""The report has the map of regimes where one comes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dait.evidence.report import regimes
from dait.evidence.report.inputs import ReportInputs
from dait.evidence.report.page import page

INPUTS = ReportInputs({}, (), (), {}, (), 0, None)


def blocks(monkeypatch: pytest.MonkeyPatch, file: Path) -> list[dict[str, Any]]:
    """Of the section, with the map in this file."""
    monkeypatch.setattr(regimes, "MAP", file)
    section = regimes.write(INPUTS)
    html = page("Comparison", "", [section], "")
    assert ('<section id="regimes">' in html) == bool(section.blocks)
    return section.blocks


def test_a_sentence_and_a_figure(monkeypatch: pytest.MonkeyPatch, map_of_regimes: Path) -> None:
    said, chart = blocks(monkeypatch, map_of_regimes)
    assert said["kind"] == "paragraph" and "frozen teacher" in said["text"]
    assert chart["kind"] == "chart" and set(chart["data"]) == {"wide-data", "narrow-data"}
    assert chart["alt"].endswith("of 2 regimes: independent in 1, direct in 0, dait in 1.")


def test_no_map_no_section(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert blocks(monkeypatch, tmp_path / "none.jsonl") == []


def test_a_damaged_map_costs_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "regimes.jsonl"
    file.write_text("{\n")
    (block,) = blocks(monkeypatch, file)
    assert block["kind"] == "missing" and "cannot be read" in block["text"]
