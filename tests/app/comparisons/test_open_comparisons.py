"""Opened comparisons: one opening for all who ask, and none that keeps others waiting."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.comparisons import cache as comparisons
from app.comparisons.cache import Comparisons
from app.config import AppConfig
from app.studies.entries import finished_studies
from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder

SECONDS = 60


def test_a_study_that_opens_slowly_keeps_nobody_from_another(
    config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = finished_studies(config)[0].id
    shutil.copytree(config.runs.path / quick, config.runs.path / "slow")
    begun, go_on, opened = threading.Event(), threading.Event(), list[str]()

    class Slow(Comparison):
        def __init__(self, study: StudyFolder, seed: int | None = None) -> None:
            opened.append(study.path.name)
            if study.path.name == "slow":
                begun.set()
                assert go_on.wait(SECONDS)
            super().__init__(study, seed)

    monkeypatch.setattr(comparisons, "Comparison", Slow)
    kept = Comparisons(config)
    with ThreadPoolExecutor(3) as visitors:
        waiting = [visitors.submit(kept.get, "slow") for _ in range(2)]
        assert begun.wait(SECONDS)
        try:
            other: Any = visitors.submit(kept.get, quick).result(SECONDS)
        finally:
            go_on.set()
        first, second = (one.result(SECONDS) for one in waiting)
    assert first is second and other is not first
    assert sorted(opened) == sorted(["slow", quick])


def test_a_study_that_is_mended_can_be_opened(config: AppConfig) -> None:
    study = finished_studies(config)[0].id
    teacher = config.runs.path / study / "teacher.npz"
    content, kept = teacher.read_bytes(), Comparisons(config)
    teacher.write_bytes(b"PK")
    for _ in range(2):
        with pytest.raises(UserError, match="damaged"):
            kept.get(study)
    teacher.write_bytes(content)
    assert kept.get(study) is kept.get(study)
