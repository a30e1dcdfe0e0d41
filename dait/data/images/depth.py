"""Images of more than 8 bits a channel, brought down to 8.

Cameras and microscopes write 10, 12 or 14 significant bits into 16-bit files. Taken for 16 bits,
such an image is nearly black. What stands for white is ``2**bits - 1``, where ``bits`` is

- what the file says (a PNG's ``sBIT``, a TIFF's ``BitsPerSample``, ``MaxSampleValue`` or
  ``SMaxSampleValue``), if no value is larger;
- else the least of 8, 10, 12, 14, 16, 18, … bits that hold the largest value of the file. Steps,
  so that darker and brighter photographs of one camera mostly come out at one scale.

Floats up to 1 are taken as they are. Files of 8 bits a channel are never touched.
"""

from __future__ import annotations

import struct
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile

_MAX_SAMPLE_VALUE, _S_MAX_SAMPLE_VALUE = 281, 341
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_MOST_CHUNKS = 1000

# Pillow reads the high bytes of 16-bit colours. Told that the bytes are in the other order, it
# reads the low ones. (N: libtiff gives the order of the machine.)
_HIGH = ("RGB", "RGBA", "CMYK")
_LOW = {f"{mode};16B": f"{mode};16L" for mode in _HIGH} | {
    f"{mode};16{order}": f"{mode};16B" for mode in _HIGH for order in "LN"
}
_GREY_AND_ALPHA = "LA;16B"  # has no other order, but can be read as four channels of a byte


class NotNumbers(ValueError):  # noqa: N818 - what is wrong with the file
    """A value of the image is infinite or no number."""


def to_8_bits(image: Image.Image, stream: IO[bytes] | None = None) -> tuple[Image.Image, int]:
    """The image with 8 bits a channel, and how many bits its values were taken to have.

    0 bits for what has 8 a channel, which is returned as it is, not even loaded, and for floats
    up to 1. stream: the file that the image was opened from; without, what it says is not known,
    and only the high bytes of colours are. Raises ``NotNumbers``.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _grey(image, _declared_bits(image, stream))
    if stream is not None and _rawmode(image) in (*_LOW, _GREY_AND_ALPHA):
        return _colour(image, stream)
    return image, 0


def _grey(image: Image.Image, declared: int | None) -> tuple[Image.Image, int]:
    values = np.asarray(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise NotNumbers
    most = float(values.max(initial=0))
    bits = 0 if image.mode == "F" and most <= 1 else _bits(most, declared)
    grey = _scaled(values, bits)
    if _tags(image).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow sees to it for 8 bits only
        grey = 255 - grey
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return _like(image, Image.fromarray(grey)), bits
    alpha = np.where(values == clear, 0, 255).astype(np.uint8)
    return _like(image, Image.fromarray(np.dstack([grey, alpha]))), bits


def _colour(image: Image.Image, stream: IO[bytes]) -> tuple[Image.Image, int]:
    """Colours, whose low bytes are read only where the high ones leave room."""
    declared, rawmode = _declared_bits(image, stream), _rawmode(image)
    if rawmode != _GREY_AND_ALPHA:
        image.load()
        high = np.asarray(image)
        colours = high[..., :3] if image.mode == "RGBA" else high
        if colours.max(initial=0) >= 64:  # 2**14 or more
            return image, 16
        values = high.astype(np.uint16) << 8 | _read_again(stream, _LOW[rawmode])
    else:
        four = _read_again(stream, "RGBA").astype(np.uint16)
        values = four[..., ::2] << 8 | four[..., 1::2]
    alpha = image.mode == "RGBA" or rawmode == _GREY_AND_ALPHA
    colours = values[..., :-1] if alpha else values
    bits = _bits(float(colours.max(initial=0)), declared)
    small = _scaled(colours, bits)
    if alpha:
        opaque = values[..., -1:]
        small = np.concatenate([small, _scaled(opaque, _bits(float(opaque.max()), bits))], axis=2)
    mode = "LA" if small.shape[2] == 2 else image.mode
    return _like(image, Image.frombytes(mode, image.size, small.tobytes())), bits


def _read_again(stream: IO[bytes], rawmode: str) -> np.ndarray:
    """``(h, w, c)`` uint8 of the file, its bytes read as ``rawmode`` says."""
    stream.seek(0)
    image: Any = Image.open(stream, formats=("PNG", "TIFF"))
    image.tile = [
        tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *tile.args[1:]))
        for tile in image.tile
    ]
    image.load()
    return np.asarray(image)


def _rawmode(image: Image.Image) -> str:
    """How a file that was opened holds its pixels; empty for other images."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return ""
    args: Any = image.tile[0].args
    return str(args if isinstance(args, str) else args[0] if args else "")


def _declared_bits(image: Image.Image, stream: IO[bytes] | None) -> int | None:
    """How many bits a file says that its values have; None where that is no less than it has."""
    if image.format == "PNG" and stream is not None:
        return _png_bits(stream)
    tags = _tags(image)
    declared = [max(_numbers(tags.get(_BITS_PER_SAMPLE, 16)))]
    for tag in (_MAX_SAMPLE_VALUE, _S_MAX_SAMPLE_VALUE):
        most = max(_numbers(tags.get(tag, 0)))
        declared += [int(most).bit_length()] if 1 <= most < 2**32 else []
    return int(min(declared)) if 1 < min(declared) < 16 else None


def _png_bits(stream: IO[bytes]) -> int | None:
    """The significant bits of a PNG's deepest channel; leaves the stream where it was."""
    before = stream.tell()
    try:
        stream.seek(8)
        for _ in range(_MOST_CHUNKS):
            length, kind = struct.unpack(">L4s", stream.read(8))
            if kind == b"sBIT":
                declared = max(stream.read(min(length, 4)), default=0)
                return declared if 1 < declared < 16 else None
            if kind in (b"IDAT", b"IEND"):
                break
            stream.seek(length + 4, 1)
        return None
    except struct.error:  # cut short, as reading it will tell
        return None
    finally:
        stream.seek(before)


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, tuple) else (float(value),)


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})


def _bits(most: float, declared: int | None) -> int:
    if declared is not None and most < 2**declared:
        return declared
    bits = 8
    while most >= 2**bits:
        bits += 2
    return bits


def _scaled(values: np.ndarray, bits: int) -> np.ndarray:
    if bits == 16 and values.dtype.itemsize == 2:
        return (values >> 8).astype(np.uint8)
    scaled = values.astype(np.float32) * (255 / (2**bits - 1 if bits else 1))
    return np.clip(scaled, 0, 255, out=scaled).round(out=scaled).astype(np.uint8)


def _like(image: Image.Image, small: Image.Image) -> Image.Image:
    """``small`` turned as ``image`` says that it is to be shown."""
    try:
        small.info["exif"] = image.getexif().tobytes()
    except Exception:  # a broken one says nothing, as in an image of 8 bits
        small.info.pop("exif", None)
    return small
