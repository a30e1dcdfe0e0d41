"""How a photograph becomes a student's input, said exactly, for programs and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dait.data.base import ClassInfo
from dait.data.images.decode import BARS, FORMATS, MAX_PIXELS
from dait.data.images.frame import MOST_RATIO, Framing
from dait.models.network import Network

_WHITE = (255, 255, 255)


def preprocessing(network: Network, framing: Framing) -> dict[str, Any]:
    """``preprocess.json``: what ``predict.py`` does, its numbers and its steps."""
    return {
        "size": framing.size,
        "fit": framing.fit,
        "short_side": framing.short_side,
        "max_ratio": MOST_RATIO,
        "resample": "bicubic",
        "background": list(_WHITE),
        "bars": list(BARS),
        "formats": list(FORMATS),
        "max_pixels": MAX_PIXELS,
        "mean": network.mean.flatten().tolist(),
        "std": network.std.flatten().tolist(),
        "steps": preprocessing_steps(framing),
    }


def labels_of(classes: Sequence[ClassInfo]) -> list[str]:
    """A label for each logit, no two the same: the class's name, with its key where it must be."""
    names = [info.name for info in classes]
    return [
        info.name if names.count(info.name) == 1 else f"{info.name} ({info.key})"
        for info in classes
    ]


def preprocessing_steps(framing: Framing) -> list[str]:
    """From a file to a student's input, a sentence or two a step."""
    size, side = framing.size, framing.short_side
    cut = {
        "crop": (
            f"Where one side is over {MOST_RATIO} times the other, cut the longer one at both ends "
            f"to {MOST_RATIO} times. Scale the shorter side to {side} pixels, keeping the ratio."
        ),
        "square": f"Take the centre square and scale it to {side} × {side} pixels.",
        "letterbox": f"Scale the longer side to {side} pixels, keeping the ratio.",
    }[framing.fit]
    placed = (
        f"Lay it on the middle of a square of {size} pixels of the colour {BARS}."
        if framing.fit == "letterbox"
        else f"Cut out the centre, {size} × {size} pixels."
    )
    return [
        "Decode the first frame. Of a JPEG that is larger than needed, decode a half, a quarter or "
        f"an eighth that keeps both sides at {2 * side} pixels or more (libjpeg's scaling).",
        "Bring grey values of more than 8 bits to 8.",
        "Turn it upright as EXIF says.",
        f"{cut} Bicubic, antialiased, as Pillow's resize with box.",
        "Lay what is transparent over white. Convert to RGB.",
        placed,
        "Divide by 255: float32 (3, S, S), RGB, in [0, 1]. This is the input of model.onnx, which "
        "normalises it itself. For model.safetensors subtract mean and divide by std.",
    ]
