"""From the page to a hub on this machine: first a list, then the upload, and who may."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import TOKEN, hub_serving, point_hub_at

from app.config import AppConfig
from app.export.bundles import Bundles
from app.export.push_box import MODEL, Pushes, listing_html, pushed_html
from dait.errors import UserError
from dait.runs.folder import RunsRoot

STUDY = "birds-20260101-120000-00000001"
VALUES = (STUDY, "dait-s0", " anna/tiny ", MODEL, False, False)


@pytest.fixture
def config(tiny_study: Path, tmp_path: Path) -> AppConfig:
    shutil.copytree(tiny_study, tmp_path / "runs" / STUDY)
    return AppConfig(RunsRoot(tmp_path / "runs"), paths=True)


def pushes_of(config: AppConfig) -> Pushes:
    return Pushes(config, Bundles(config))


def test_only_the_user_of_the_machine_and_only_what_can_be_exported(config: AppConfig) -> None:
    with pytest.raises(UserError, match="your own machine"):
        pushes_of(replace(config, paths=False)).task(True, *VALUES)
    with pytest.raises(UserError, match="no name of a repository"):
        pushes_of(config).task(True, STUDY, "dait-s0", "tiny", MODEL, False, False)
    with pytest.raises(UserError, match="Choose a finished run"):
        pushes_of(config).task(True, STUDY, "../dait-s0", "anna/tiny", MODEL, False, False)


@pytest.mark.slow
def test_every_file_is_listed_before_any_is_uploaded(
    config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes = pushes_of(config)
    with hub_serving() as hub:
        point_hub_at(monkeypatch, hub.address)
        for name, value in (
            ("HF_ENDPOINT", hub.address),
            ("HF_TOKEN", TOKEN),
            ("HF_HUB_DISABLE_XET", "1"),
            ("HF_HUB_OFFLINE", "0"),
        ):
            monkeypatch.setenv(name, value)
        job = pushes.jobs.start(*pushes.task(True, *VALUES))
        assert job.wait(250) and job.result is not None, job.error
        assert hub.pushed == {} and job.result.refused == ""
        html = listing_html(job.result)
        assert "model.onnx" in html and "Nothing is uploaded yet" in html and "private" in html

        job = pushes.jobs.start(*pushes.task(False, *VALUES))
        assert job.wait(250) and job.result is not None, job.error
        made = hub.pushed["model", "anna/tiny"]
        assert made.private and {"model.onnx", "README.md"} <= set(made.files)
        assert f"{hub.address}/anna/tiny" in pushed_html(job.result)

        # What exists is not written to without the tick.
        job = pushes.jobs.start(*pushes.task(False, *VALUES))
        assert job.wait(250) and job.result is None
        assert job.error is not None and "exists already" in job.error
        assert len(made.commits) == 1
