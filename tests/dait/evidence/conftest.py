"""A study that a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied(tiny_study: Path, tmp_path: Path) -> Path:
    """A copy of ``tiny_study``."""
    return Path(shutil.copytree(tiny_study, tmp_path / "study"))
