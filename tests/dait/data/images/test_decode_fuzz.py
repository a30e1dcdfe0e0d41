"""Damaged files of every format: an array or ``BadImage``, never anything else."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dait.data.images.decode import BadImage, decode_image

SIZE = 16
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg grey": ("JPEG", "L", {}),
    "jpeg cmyk": ("JPEG", "CMYK", {}),
    "jpeg progressive": ("JPEG", "RGB", {"progressive": True}),
    "jpeg exif": ("JPEG", "RGB", {"exif": True}),
    "png": ("PNG", "RGB", {}),
    "png alpha": ("PNG", "RGBA", {}),
    "png palette": ("PNG", "P", {"transparency": 3}),
    "png 16 bit": ("PNG", "I;16", {}),
    "png bits": ("PNG", "1", {}),
    "webp": ("WEBP", "RGB", {}),
    "webp lossless": ("WEBP", "RGBA", {"lossless": True}),
    "webp animated": ("WEBP", "RGB", {"save_all": True}),
    "bmp": ("BMP", "RGB", {}),
    "gif animated": ("GIF", "P", {"save_all": True}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff lzw": ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
    "tiff jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
    "tiff float": ("TIFF", "F", {}),
    "tiff cmyk": ("TIFF", "CMYK", {}),
}


def encoded(kind: str) -> bytes:
    """A picture of 24 × 20 pixels in that format, mode and with those options."""
    format, mode, options = KINDS[kind]
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    colour = Image.fromarray(noise)
    image = Image.fromarray(noise[..., 0].astype(np.uint16) * 257) if mode == "I;16" else colour
    image = image.convert(mode)
    options = dict(options)
    if options.get("save_all"):
        options["append_images"] = [Image.new(mode, image.size), image]
    if options.get("exif"):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    packed = io.BytesIO()
    image.save(packed, format, **options)
    return packed.getvalue()


def damages(whole: bytes, seed: str) -> list[bytes]:
    """Bytes flipped (more often the first, which say what to expect), cut, doubled, zeroed."""
    chance = random.Random(seed)
    found = []
    for number in range(45):
        broken = bytearray(whole)
        reach = len(whole) if number % 3 else min(len(whole), 120)
        for _ in range(chance.choice((1, 1, 2, 8))):
            broken[chance.randrange(reach)] = chance.randrange(256)
        found.append(bytes(broken))
    for _ in range(10):
        found.append(whole[: chance.randrange(len(whole))])
    start, length = chance.randrange(len(whole)), chance.randrange(1, 200)
    found.append(whole[:start] + whole[start : start + length] + whole[start:])
    found.append(whole[:start] + bytes(length) + whole[start + length :])
    found.append(whole + whole)
    return found


@pytest.mark.filterwarnings("ignore")  # Pillow's own, on metadata that it could not read
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(kind: str) -> None:
    whole = encoded(kind)
    assert decode_image(whole, SIZE).shape == (SIZE, SIZE, 3)
    refused = 0
    for number, broken in enumerate(damages(whole, kind)):
        try:
            image = decode_image(broken, SIZE, max_pixels=1_000_000)
        except BadImage as error:
            refused += 1
            assert error.reason and str(error).endswith("."), number
        else:
            assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8, number
    assert refused >= 5  # of ten that were cut


@pytest.mark.filterwarnings("ignore")
def test_noise_behind_a_true_beginning() -> None:
    chance = random.Random("noise")
    for kind in KINDS:
        whole = encoded(kind)
        for length in (4, 12, 30, 60):
            with pytest.raises(BadImage):
                decode_image(whole[:length] + chance.randbytes(300), SIZE, max_pixels=1_000_000)
