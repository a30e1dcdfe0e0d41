"""One test image of a study, drawn or decoded singly: the split is not built for it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from dait.data.decode import decode_image
from dait.errors import UserError
from dait.recipe import DataConfig


def single_test_image(data: DataConfig, index: int, image_id: str) -> np.ndarray:
    """``(S, S, 3)`` uint8: the image that the test split has at ``index`` under ``image_id``.

    Raises ``UserError`` where a folder of photographs, or the file, is gone or damaged.
    """
    if data.source == "fieldguide":
        return _drawn(data, index)
    root = Path(data.source).expanduser()
    # Ids come from a file: they must not lead elsewhere.
    path = (root / image_id).resolve()
    if not root.is_dir() or not path.is_relative_to(root.resolve()) or not path.is_file():
        raise UserError(
            f"The photograph ‘{image_id}’ was in ‘{root}’ when this study was trained and is not "
            "there now. Put the folder back, or upload an image instead."
        )
    return decode_image(path, data.size)


def _drawn(data: DataConfig, index: int) -> np.ndarray:
    from dait.data.fieldguide.dataset import FieldGuideOptions, record

    names = {field.name for field in fields(FieldGuideOptions)}
    options = FieldGuideOptions(**data.model_dump(include=names))
    return record(options, "test", index).scene.image
