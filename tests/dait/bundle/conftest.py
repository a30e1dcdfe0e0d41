from __future__ import annotations

from pathlib import Path

import pytest

from dait.bundle.export import Bundle, export_run
from dait.runs.folder import RunFolder


@pytest.fixture(scope="session")
def bundle(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The student of ``dait-s0`` of the tiny study, exported with ONNX."""
    folder = tmp_path_factory.mktemp("bundle") / "dait"
    return export_run(RunFolder(tiny_study / "dait-s0"), folder)
