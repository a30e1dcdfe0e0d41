"""``python -m dait networks``."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import dait.models.catalogue as catalogue
from dait.cli import networks

Command = Callable[..., int]


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_curated_list_is_measured(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shorter = [e for e in catalogue.CURATED if e.name in ("lcnet_050", "vit_tiny_patch16_224")]
    monkeypatch.setattr(networks, "CURATED", tuple(shorter))
    assert command("networks", "--size", 64, "--classes", 5, "--json") == 0
    found = last_line(capsys)
    assert (found["size"], found["classes"]) == (64, 5)
    vit, lcnet = sorted(found["networks"], key=lambda row: row["name"], reverse=True)
    assert (lcnet["map"], lcnet["pooled_width"], lcnet["coarse"]) == ([256, 2, 2], 1280, True)
    assert vit["map"] == [192, 4, 4] and vit["macs"] > lcnet["macs"] > 0
    assert lcnet["parameters"] > 5 * 1280 and "CPU" in lcnet["use"] and lcnet["error"] is None


def test_a_few_that_are_found_are_measured(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("networks", "lcnet 035", "--size", 64) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("lcnet_035 ") and "M MACs" in line and "176×2×2" in line


def test_many_are_only_named(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("networks", "mobilenet") == 0
    *names, said = capsys.readouterr().out.splitlines()
    assert len(names) > 8 and "torchvision:mobilenet_v2" in names
    assert said == f"{len(names)} networks; more words, or --measure, for their size and cost."


def test_what_cannot_be_built_says_why(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("networks", "lcnet 035", "--stride", 16, "--json") == 0
    (row,) = last_line(capsys)["networks"]
    assert "cannot be dilated" in row["error"] and "macs" not in row


def test_nothing_found_is_a_sentence(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("networks", "resnet9000") == 2
    assert "resnet9000" in capsys.readouterr().err
