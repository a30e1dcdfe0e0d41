"""Photographs of any kind to bounded pixels: upright, opaque, RGB, of the size asked for; masks."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from dait.data.base import Trim
from dait.data.images.depth import NotNumbers, to_8_bits
from dait.data.images.frame import Frame, Framing
from dait.errors import UserError

DECODER_VERSION = 2
"""Raised whenever the pixels of any decoded image change: caches are then built again."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Pillow's names of the formats that are read; no other reader of Pillow's is ever started."""

BARS = (124, 116, 104)
"""Of a letterbox: ImageNet's mean, about 0 once a network has normalised it."""

MAX_PIXELS = 64_000_000
MAX_BYTES = 20 * 2**20

_WHITE = (255, 255, 255, 255)

# What people rename to .jpg, by the file's first bytes (lower case), for a reason that helps.
_LOOKS_LIKE = (
    (b"%pdf", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG file"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"version https://git-lfs", "a Git LFS pointer; run ‘git lfs pull’ to get the photograph"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")


class BadImage(UserError):  # noqa: N818 - reads better where it is caught
    """An image that cannot be used: ``reason`` in a few words, the message a whole sentence."""

    def __init__(self, reason: str, name: str = "This image") -> None:
        super().__init__(f"{name} {reason}.")
        self.reason = reason


def decode_image(
    source: str | Path | bytes,
    framing: Framing | int,
    *,
    trim: Trim | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """A file, or a file's bytes, to ``(size, size, 3)`` uint8 RGB, as evaluation sees it.

    framing: a number is the centre square, of so many pixels a side. trim: pixels that are cut off
    each side first, of the image as it is stored.

    The first frame, turned upright (EXIF), laid over white where transparent, reduced to 8 bits
    (``images.depth`` says how), resampled (antialiased) and cut as ``framing`` says. Raises
    ``BadImage`` for a format other than ``FORMATS``, a damaged or truncated file, more than
    ``max_pixels`` pixels (by the header, before anything is decoded), or bytes longer than
    ``max_bytes`` (a file's length is not bounded).
    """
    if isinstance(source, bytes):
        if len(source) > max_bytes:
            found, allowed = len(source) / 2**20, max_bytes / 2**20
            raise BadImage(f"is {found:.1f} MiB; at most {allowed:.1f} MiB are read")
        stored, frame = _decode(io.BytesIO(source), framing, max_pixels, trim)
    else:
        stored, frame = decode_framed(Path(source), framing, trim=trim, max_pixels=max_pixels)
    return frame.framing.centre(stored)


def decode_framed(
    file: Path, framing: Framing | int, *, trim: Trim | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, Frame]:
    """The image that is stored of a file, ``(h, w, 3)``, and how its boxes and masks can follow.

    ``frame.framing.centre`` of it is what ``decode_image`` gives.
    """
    name = f"‘{file.name}’"
    try:
        with file.open("rb") as stream:
            return _decode(stream, framing, max_pixels, trim)
    except BadImage as error:
        raise BadImage(error.reason, name) from error
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror or error})", name) from error


def decode_picture(
    image: Image.Image, framing: Framing | int, *, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """An opened Pillow image, which is left as it is, to what ``decode_image`` gives.

    Raises ``BadImage`` for a damaged image or one of more than ``max_pixels`` pixels.
    """
    _require_few_pixels(image, max_pixels)
    try:
        small = to_8_bits(image)[0].copy()
        stored, frame = _to_stored(small, framing, max_pixels)
        return frame.framing.centre(stored)
    except BadImage:
        raise
    except NotNumbers as error:
        raise BadImage("holds values that are not numbers") from error
    except Exception as error:  # as in _decode: Pillow reads an opened file's pixels only now
        raise BadImage(f"is damaged ({str(error) or type(error).__name__})") from error


def decode_mask(file: Path, frame: Frame, values: tuple[int, ...]) -> np.ndarray:
    """``(S, S)`` uint8, 1 on the object: the mask cut and scaled as its image was.

    values: the grey values that mean the object (of an image with a coloured palette, the palette's
    indices). Raises ``BadImage`` for a file that is missing, damaged or not of the image's size.
    """
    name = f"‘{file.name}’"
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.size != (frame.width, frame.height):
                found, wanted = "{} × {}".format(*image.size), f"{frame.width} × {frame.height}"
                raise BadImage(f"is {found} pixels, its image {wanted}", name)
            marks = np.isin(_mask_values(image), values).astype(np.uint8)
    except BadImage:
        raise
    except FileNotFoundError as error:
        raise BadImage("is missing", name) from error
    except Image.UnidentifiedImageError as error:
        raise BadImage("is not an image", name) from error
    except Exception as error:  # Pillow's readers raise nearly anything on damaged bytes
        raise BadImage(f"is damaged ({str(error) or type(error).__name__})", name) from error
    return frame.place_mask(marks)


def _decode(
    stream: IO[bytes], framing: Framing | int, max_pixels: int, trim: Trim | None
) -> tuple[np.ndarray, Frame]:
    head = stream.read(64)
    stream.seek(0)
    if not head:
        raise BadImage("is empty (0 bytes)")
    # Pillow's readers raise nearly anything on hostile bytes (OSError, SyntaxError, struct.error,
    # IndexError, ...): each of them means a bad file; the cause is kept.
    try:
        with Image.open(stream, formats=FORMATS) as image:
            _require_few_pixels(image, max_pixels)
            small, bits = to_8_bits(image, stream)
            pixels, frame = _to_stored(small, framing, max_pixels, trim)
            return pixels, replace(frame, bits=bits)
    except BadImage:
        raise
    except NotNumbers as error:
        raise BadImage("holds values that are not numbers") from error
    except Image.UnidentifiedImageError as error:
        raise BadImage(_not_an_image(head)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"has far too many pixels; at most {_millions(max_pixels)}") from error
    except MemoryError as error:
        raise BadImage("does not fit into memory") from error
    except Exception as error:
        raise BadImage(f"is damaged ({str(error) or type(error).__name__})") from error


def _to_stored(
    image: Image.Image, framing: Framing | int, max_pixels: int, trim: Trim | None = None
) -> tuple[np.ndarray, Frame]:
    _require_few_pixels(image, max_pixels)
    framing = Framing(framing) if isinstance(framing, int) else framing
    full_size = image.size
    # A JPEG can be decoded at a half, quarter or eighth; twice the final size keeps it sharp.
    least = 2 * min(Frame(*full_size, framing).scaled)
    image.draft(None, (least, least))
    image.load()
    if trim is not None:
        image = _trimmed(image, full_size, trim)
    frame = Frame(*full_size, framing, _turn_upright(image), trim or (0, 0, 0, 0))
    # Resampling only what is kept also keeps a 1 × 60,000 strip from growing a huge middle step.
    box = Frame(*image.size, framing).kept
    small = _to_8_bit_colour(image).resize(frame.scaled, Image.Resampling.BICUBIC, box=box)
    if small.mode == "RGBA":  # resized with premultiplied colours, so laying it down now is exact
        white = Image.new("RGBA", small.size, _WHITE)
        white.alpha_composite(small)
        small = white.convert("RGB")
    if framing.fit == "letterbox":
        square = Image.new("RGB", (framing.size, framing.size), BARS)
        square.paste(small, frame.shift)
        small = square
    return np.array(small), frame


def _trimmed(image: Image.Image, full_size: tuple[int, int], trim: Trim) -> Image.Image:
    """The image, perhaps decoded smaller than ``full_size``, without what ``trim`` cuts off."""
    left, top, right, bottom = trim
    if left + right >= full_size[0] or top + bottom >= full_size[1]:
        raise BadImage(
            f"is {full_size[0]} × {full_size[1]} pixels, which {trim} at its sides uses up"
        )
    across, down = image.width / full_size[0], image.height / full_size[1]
    # Rounded inwards: nothing of what is to go may stay. One pixel at least is left.
    first = min(math.ceil(left * across), image.width - 1)
    upper = min(math.ceil(top * down), image.height - 1)
    last = max(math.floor((full_size[0] - right) * across), first + 1)
    lower = max(math.floor((full_size[1] - bottom) * down), upper + 1)
    return image.crop((first, upper, last, lower))


def _require_few_pixels(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise BadImage(
            f"is {width} × {height} = {_millions(width * height)} pixels; "
            f"at most {_millions(max_pixels)}"
        )


def _turn_upright(image: Image.Image) -> int:
    """Turns it in place; the EXIF orientation, 1 to 8, that it had."""
    orientation = 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # EXIF is a file format of its own: a broken one says nothing, and the
        pass  # pixels, which were read before, are as good as those of a photograph without
    return orientation if orientation in range(1, 9) else 1


def _to_8_bit_colour(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        raise BadImage("is in the LAB colour space; save it as an RGB image")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _not_an_image(head: bytes) -> str:
    """Why a file that Pillow does not know was refused, by its first bytes."""
    allowed = ", ".join(FORMATS[:-1]) + f" or {FORMATS[-1]}"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return f"is a HEIC or AVIF photograph; save it as {allowed}"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, what in _LOOKS_LIKE:
        if start.startswith(mark):
            return f"is {what}, not {allowed}"
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return f"is a text file, not {allowed}"
    return f"is not a readable {allowed} file"


def _millions(pixels: int) -> str:
    return f"{pixels / 1e6:.1f} million"


def _mask_values(image: Image.Image) -> np.ndarray:
    if image.mode == "P":
        colours = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        if (colours != colours[:, :1]).any():
            return np.asarray(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    return np.asarray(image.convert("L"))
