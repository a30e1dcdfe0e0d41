"""Numbers that must not change by themselves, in ``golden.json``.

A test computes figures and asks ``check`` for them. With ``GOLDEN=write`` they are written instead:
do that only for a change that is meant to change results, and say so in ``CHANGELOG.md``. The
tolerance is for sums that other processors and library versions round in another order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).with_name("golden.json")
RELATIVE = 2e-3


def check(name: str, figures: Sequence[float] | np.ndarray) -> None:
    """Compare with what stands under ``name``; each figure within 0.2 % of the largest."""
    found = [round(float(figure), 6) for figure in np.ravel(np.asarray(figures, np.float64))]
    golden = json.loads(FILE.read_text()) if FILE.exists() else {}
    if os.environ.get("GOLDEN") == "write":
        golden[name] = found
        lines = (f"  {json.dumps(key)}: {json.dumps(golden[key])}" for key in sorted(golden))
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        return
    scale = max(map(abs, golden[name]), default=0.0)
    assert found == pytest.approx(golden[name], rel=0, abs=RELATIVE * scale), name
