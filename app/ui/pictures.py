"""Pictures inside the page's HTML, so that no visitor's file is in a public folder."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def picture_address(image: np.ndarray, most: int | None = None, kind: str = "JPEG") -> str:
    """``(H, W, 3)`` or, as PNG, ``(H, W, 4)`` uint8 as a ``data:`` address.

    most: larger square pictures are reduced to so many pixels a side.
    """
    picture = Image.fromarray(image)
    if most is not None and max(picture.size) > most:
        picture = picture.resize((most, most), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 90} if kind == "JPEG" else {}))
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{content}"
