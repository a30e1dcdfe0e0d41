"""What must not change by itself: pixels of views, raw heatmaps and figures of the shipped study.

The weights that each arm ends with are in ``dait/arms/test_arm_runs.py``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import check

from dait.data.augmentation.views import ViewPolicy, view_batch
from dait.data.base import ViewKind
from dait.data.fieldguide import FieldGuide
from dait.evidence.comparison import Comparison
from dait.runs.folder import StudyFolder
from dait.storage.paths import ASSETS

DEMO = StudyFolder(ASSETS / "runs" / "demo")


def grid(pixels: np.ndarray, cells: int) -> np.ndarray:
    """Means over ``cells`` × ``cells`` parts of ``(..., h, w)``."""
    tensor = torch.from_numpy(np.asarray(pixels, np.float32)).reshape(-1, 1, *pixels.shape[-2:])
    return torch.nn.functional.adaptive_avg_pool2d(tensor, cells).numpy()


@pytest.mark.parametrize("kind", ["light", "full", "paper", "original"])
def test_the_pixels_of_views(birds: FieldGuide, kind: ViewKind) -> None:
    images = np.asarray(birds.split("train").images[:3])
    views = view_batch(images, [0, 1, 2], 5, ViewPolicy(kind, 11)).numpy()
    check(f"views {kind}", grid(views, 3))


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_raw_heatmaps(method: str) -> None:
    comparison = Comparison(DEMO)
    image, _ = comparison.test_image(3)
    for found in comparison.explain(image, method):
        assert not found.empty, found.note
        check(f"{method} {found.member.key}", grid(found.raw, 3))


def test_figures_of_the_shipped_study() -> None:
    order = ("vlm", "intermediate", "direct", "independent", "dait")  # of the recorded figures
    rows = sorted(Comparison(DEMO).table(), key=lambda row: order.index(row["role"]))
    check("table top-1", [row["top1"] for row in rows])
    check("table McNemar", [row["mcnemar_p"] or 0.0 for row in rows])
    similarity = Comparison(DEMO).similarity()
    roles = {row["key"]: row["role"] for row in rows}
    keys = sorted(similarity, key=lambda key: order.index(roles[key]))
    check("similarity", [similarity[key].mean() for key in keys])
