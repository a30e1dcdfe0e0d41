"""``predict.py`` prepares images as the engine does, and needs nothing of it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dait.bundle import predict
from dait.data.images.decode import BARS, decode_image
from dait.data.images.frame import MOST_RATIO, Framing

FRAMINGS = [
    Framing(32),
    Framing(48, 0.875, "crop"),
    Framing(40, 0.8, "square"),
    Framing(48, fit="letterbox"),
]


def how(framing: Framing) -> dict[str, Any]:
    return {
        "size": framing.size,
        "fit": framing.fit,
        "short_side": framing.short_side,
        "max_ratio": MOST_RATIO,
        "background": [255, 255, 255],
        "bars": list(BARS),
    }


def noise(*shape: int, most: int = 255, kind: Any = np.uint8) -> np.ndarray:
    # Smooth, as photographs are: blocks of one value.
    small = np.random.default_rng(0).integers(
        0, most + 1, (shape[0] // 8 + 1, shape[1] // 8 + 1, 4)
    )
    grown = small.repeat(8, 0).repeat(8, 1)[: shape[0], : shape[1]]
    return grown[..., 0].astype(kind) if len(shape) == 2 else grown[..., : shape[2]].astype(kind)


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


PICTURES: dict[str, tuple[np.ndarray, str, dict[str, Any]]] = {
    "photo.jpg": (noise(120, 90, 3), "JPEG", {}),
    "large.jpg": (noise(700, 900, 3), "JPEG", {}),
    "turned.jpg": (noise(400, 250, 3), "JPEG", {"exif": exif(6)}),
    "mirrored.jpg": (noise(100, 250, 3), "JPEG", {"exif": exif(7)}),
    "grey.jpg": (noise(77, 50), "JPEG", {}),
    "clear.png": (noise(60, 81, 4), "PNG", {}),
    "deep.png": (noise(60, 60, most=65535, kind=np.uint16), "PNG", {}),
    "twelve bits.png": (noise(50, 60, most=4095, kind=np.uint16), "PNG", {}),
    "float.tiff": (noise(50, 60, most=1, kind=np.float32), "TIFF", {}),
    "strip.png": (noise(20, 300, 3), "PNG", {}),
    "tiny.webp": (noise(9, 7, 3), "WEBP", {"lossless": True}),
}


@pytest.mark.parametrize("framing", FRAMINGS, ids=lambda framing: framing.fit)
@pytest.mark.parametrize("name", PICTURES)
def test_it_sees_what_the_engine_sees(name: str, framing: Framing, tmp_path: Path) -> None:
    pixels, form, options = PICTURES[name]
    file = tmp_path / name
    Image.fromarray(pixels).save(file, form, **options)
    expected = decode_image(file, framing).transpose(2, 0, 1).astype(np.float32) / 255
    np.testing.assert_array_equal(predict.load_image(file, how(framing)), expected)


@pytest.mark.parametrize("mode", ["CMYK", "P", "LA", "1"])
def test_other_modes_are_seen_alike(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(noise(60, 80, 3)).convert(mode)
    file = tmp_path / ("image.tiff" if mode == "CMYK" else "image.png")
    options = {"transparency": 3} if mode == "P" else {}
    image.save(file, **options)
    framing = FRAMINGS[1]
    expected = decode_image(file, framing).transpose(2, 0, 1).astype(np.float32) / 255
    np.testing.assert_array_equal(predict.load_image(file, how(framing)), expected)


def test_it_needs_onnxruntime_numpy_and_pillow_alone() -> None:
    tree = ast.parse(Path(predict.__file__).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    assert found - set(sys.stdlib_module_names) == {"onnxruntime", "numpy", "PIL"}
