"""Heatmaps of one test image that are kept beside a study, so that they need no network.

Imports nothing heavy: the app shows them before PyTorch is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from dait.errors import UserError
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.explanation import Explanation
from dait.runs.files import load_arrays
from dait.storage.files import write_arrays

FILE = "heatmaps.npz"
"""``(h, w)`` float32 raw maps and ``(C,)`` logits by member key, each network's default method."""

Heats = Mapping[str, "np.ndarray | None"]
"""Heatmaps ``(S, S)`` in [0, 1] by member key; None where a map is zero everywhere."""


def heats_of(row: Sequence[Explanation]) -> Heats:
    """The heatmaps of a row."""
    return {found.member.key: None if found.empty else found.heat for found in row}


def keep_heatmaps(comparison: Comparison, index: int, row: Sequence[Explanation]) -> None:
    """Keep a row of the test image ``index`` beside the study, in place of another image's.

    Nothing is kept of a row in which a network has no heatmap. Raises ``OSError`` where nothing can
    be written.
    """
    if any(found.note for found in row):
        return
    arrays = {}
    for found in row:
        key = found.member.key
        arrays[f"{key}_map"] = found.raw.astype(np.float32)
        arrays[f"{key}_logits"] = comparison.logits[key][index]
    write_arrays(comparison.study.path / FILE, {"index": np.array(index), **arrays})


def kept_heatmaps(comparison: Comparison, index: int) -> Heats | None:
    """What ``keep_heatmaps`` kept of this image; None if it is another's, or of other networks.

    A network is known by its logits for the image. A damaged file counts as none: it is replaced.
    """
    try:
        arrays = load_arrays(comparison.study.path / FILE)
    except UserError:
        return None
    if arrays is None or int(arrays.get("index", -1)) != index:
        return None
    found: dict[str, np.ndarray | None] = {}
    for member in comparison.members:
        raw, logits = (arrays.get(f"{member.key}_{kind}") for kind in ("map", "logits"))
        if raw is None or logits is None:
            return None
        if not np.array_equal(logits, comparison.logits[member.key][index]):
            return None
        found[member.key] = _scaled(raw, comparison.image_size)
    return found


def _scaled(raw: np.ndarray, size: int) -> np.ndarray | None:
    """As ``dait.evidence.heatmaps.cam.upsample_and_scale``, without PyTorch."""
    if raw.max(initial=0) <= 0:
        return None
    image = Image.fromarray(raw.astype(np.float32))
    enlarged = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    return np.clip(enlarged / enlarged.max(), 0, 1)
