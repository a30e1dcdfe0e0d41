"""Visitors' photographs: bounded in bytes and in pixels before they are decoded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dait.data.images.decode import BadImage, decode_image
from dait.data.images.frame import Framing

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 50_000_000
"""Enough for every phone's photographs, and small enough for a small machine's memory."""

_SCRIPT = Path(__file__).with_name("file_limit.js")


def limits_head(limits: Mapping[str, int]) -> str:
    """The script in the page's head that refuses large files: from element id to bytes.

    The server has one limit for all uploads, the largest; a request that bypasses the page meets
    that, and then the check of the code that reads the file.
    """
    script = _SCRIPT.read_text(encoding="utf-8").replace("FILE_LIMITS", json.dumps(dict(limits)))
    return f"<script>{script}</script>"


def read_photo(path: str | Path, framing: Framing | int) -> np.ndarray:
    """An uploaded photograph as evaluation sees it, ``(size, size, 3)`` uint8 RGB.

    framing: a number means the centre square with so many pixels a side.

    Raises ``BadImage``, whose message is for the visitor: more than ``MAX_BYTES`` bytes or
    ``MAX_PIXELS`` pixels, another kind of file whatever its name says, damaged, or gone.
    """
    file = Path(path)
    try:
        length = file.stat().st_size
        # Before reading: a file of gigabytes must not be loaded to be refused.
        if length > MAX_BYTES:
            found, allowed = length / 2**20, MAX_BYTES // 2**20
            raise BadImage(f"is {found:.1f} MiB; at most {allowed} MiB are read", _THIS)
        content = file.read_bytes()
    except OSError as error:
        raise BadImage("does not exist any more; upload it again", _THIS) from error
    try:
        return decode_image(content, framing, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES)
    except BadImage as error:
        raise BadImage(error.reason, _THIS) from error


_THIS = "This file"
