"""What is said of a single run as JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dait.data.base import ClassInfo
from dait.evaluation.predictions import RunPredictions
from dait.evaluation.runs import MATRIX_CLASSES, EvaluatedRun, details_as_json, figures_of
from dait.runs.folder import RunFolder


@pytest.mark.parametrize("count", [3, MATRIX_CLASSES + 1])
def test_the_matrix_of_very_many_classes_is_left_out(count: int, tmp_path: Path) -> None:
    logits = np.eye(4, count, dtype=np.float32)
    found = RunPredictions(np.arange(4) % 3, tuple("abcd"), {"student": logits}, {}, {})
    classes = tuple(ClassInfo(f"{n}", f"class {n}", None) for n in range(count))
    run = EvaluatedRun(RunFolder(tmp_path), "dait", 0, "test", classes, figures_of(found), found)
    details = details_as_json(run)
    assert len(details["per_class"]) == count
    if count == 3:
        assert details["confusion"] == [[2, 0, 0], [0, 1, 0], [0, 0, 1]]
    else:
        assert details["confusion"] is None
