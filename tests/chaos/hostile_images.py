"""Photographs that are none: mutated files of five formats, bombs, and files of two kinds at once.

Each is made from a seed, and is small: what it asks for is not.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF")


def hostile_images(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """So many files, each with a name that says what it is."""
    fixed = [(name, make()) for name, make in BOMBS.items()]
    whole = [(kind, _whole(kind, rng)) for kind in FORMATS for _ in range(3)]
    for number in range(count):
        if number < len(fixed):
            name, data = fixed[number]
        else:
            kind, data = rng.choice(whole)
            changes = [rng.choice(MUTATIONS) for _ in range(rng.choice([1, 1, 2, 5]))]
            for change in changes:
                data = change(rng, data)
            name = "-".join([kind.lower(), *(change.__name__ for change in changes)])
        yield f"{number:04d}-{name}.{rng.choice(['jpg', 'png', 'webp', 'tif', 'gif'])}", data


def good_image() -> bytes:
    """A photograph that is one."""
    return _whole("JPEG", random.Random(0))


def _whole(kind: str, rng: random.Random) -> bytes:
    shape = (rng.randint(20, 90), rng.randint(20, 90), 3)
    pixels = np.random.default_rng(rng.randrange(10**6)).integers(0, 256, shape, dtype=np.uint8)
    image, file = Image.fromarray(pixels), io.BytesIO()
    exif = image.getexif()
    exif[0x0112], exif[0x010E] = 6, "a photograph " * 9
    more = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}
    if kind == "TIFF":
        more = {"compression": rng.choice(["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])}
    if kind == "GIF":
        more = {"save_all": True, "append_images": [Image.fromarray(255 - pixels)] * 3}
    if kind == "JPEG":
        more["progressive"] = rng.random() < 0.5
    image.save(file, kind, **more)
    return file.getvalue()


def flipped(rng: random.Random, data: bytes) -> bytes:
    """A few bytes that are others."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 3, 30])):
        found[rng.randrange(len(found))] = rng.randrange(256)
    return bytes(found)


def flipped_head(rng: random.Random, data: bytes) -> bytes:
    """A few bytes of the first hundred that are others, where sizes and offsets stand."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 2, 6])):
        found[rng.randrange(4, min(100, len(found)))] = rng.choice([0, 1, 127, 128, 255])
    return bytes(found)


def cut(rng: random.Random, data: bytes) -> bytes:
    """The first part."""
    return data[: rng.randrange(1, len(data))]


def without_middle(rng: random.Random, data: bytes) -> bytes:
    """Without a part in the middle."""
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 200) :]


def doubled(rng: random.Random, data: bytes) -> bytes:
    """With a part of it many times."""
    start = rng.randrange(len(data))
    return data[:start] + data[start : start + rng.randrange(1, 80)] * 400 + data[start:]


def huge_number(rng: random.Random, data: bytes) -> bytes:
    """With four bytes that are a huge number, in either order."""
    at = rng.randrange(4, max(5, len(data) - 4))
    number = rng.choice([0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 0x00FFFFFF])
    return data[:at] + struct.pack(rng.choice(["<L", ">L"]), number) + data[at + 4 :]


def zeros(rng: random.Random, data: bytes) -> bytes:
    """With a run of zeros."""
    at, run = rng.randrange(len(data)), rng.randrange(1, 300)
    return data[:at] + bytes(run) + data[at + run :]


def polyglot(rng: random.Random, data: bytes) -> bytes:
    """Another kind of file behind it, or before it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../../evil", "evil")
    others = [
        archive.getvalue(),
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.7\n%%EOF",
        b"#!/bin/sh\nrm -rf /\n",
        _whole(rng.choice(FORMATS), rng),
    ]
    other = rng.choice(others)
    return data + other if rng.random() < 0.7 else other + data


MUTATIONS = (
    flipped, flipped_head, cut, without_middle, doubled, huge_number, zeros, polyglot,
)  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def _png(width: int, height: int, *chunks: bytes, pixels: bytes = b"") -> bytes:
    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    body = [_chunk(b"IHDR", head), *chunks, _chunk(b"IDAT", pixels), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _deflated(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def png_of_many_pixels() -> bytes:
    return _png(60_000, 60_000, pixels=_deflated(2**26))


def png_with_more_pixels_than_it_says() -> bytes:
    return _png(8, 8, pixels=_deflated(2**28))


def png_with_a_profile_of_gigabytes() -> bytes:
    return _png(8, 8, _chunk(b"iCCP", b"x\0\0" + _deflated(2**28)), pixels=_deflated(200))


def png_with_text_of_gigabytes() -> bytes:
    texts = [_chunk(b"zTXt", b"x\0\0" + _deflated(2**24)) for _ in range(40)]
    return _png(8, 8, *texts, pixels=_deflated(200))


def png_of_ten_thousand_chunks() -> bytes:
    return _png(8, 8, *[_chunk(b"tEXt", b"a\0b")] * 10_000, pixels=_deflated(200))


def jpeg_of_many_pixels() -> bytes:
    data = bytearray(good_image())
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    data[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)


def jpeg_of_a_thousand_scans() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((2500, 2500)).save(file, "JPEG", progressive=True, quality=5)
    data = file.getvalue()
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * 60 + b"\xff\xd9"


def gif_of_ten_thousand_frames() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("P", (60, 60), number % 2) for number in range(2)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    data = file.getvalue()
    first = data.find(b"!\xf9")
    return data[:first] + data[first:-1] * 5000 + b";"


def gif_of_many_pixels() -> bytes:
    return b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\x80\0\0" + bytes(6) + b"," + bytes(9)


def tiff_that_follows_itself() -> bytes:
    entry = struct.pack("<HHLL", 0x0100, 3, 1, 8) + struct.pack("<HHLL", 0x0101, 3, 1, 8)
    return b"II*\0" + struct.pack("<L", 8) + struct.pack("<H", 2) + entry + struct.pack("<L", 8)


def tiff_of_many_strips() -> bytes:
    entries = [(0x100, 4, 1, 100_000), (0x101, 4, 1, 100_000), (0x102, 3, 1, 8), (0x103, 3, 1, 1)]
    entries += [(0x106, 3, 1, 1), (0x111, 4, 2**28, 8), (0x117, 4, 2**28, 8), (0x116, 4, 1, 1)]
    body = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + body + bytes(4)


def webp_of_many_pixels() -> bytes:
    body = b"VP8X" + struct.pack("<L", 10) + bytes(4) + b"\xff\xff\xff" * 2
    return b"RIFF" + struct.pack("<L", len(body) + 4) + b"WEBP" + body


def bmp_of_negative_size() -> bytes:
    return b"BM" + struct.pack("<LLLLllHHL", 100, 0, 54, 40, -5, -70_000, 1, 24, 0) + bytes(40)


def text_of_a_drawing() -> bytes:
    return b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


BOMBS: dict[str, Callable[[], bytes]] = {
    make.__name__: make
    for make in (
        png_of_many_pixels, png_with_more_pixels_than_it_says, png_with_a_profile_of_gigabytes,
        png_with_text_of_gigabytes, png_of_ten_thousand_chunks, jpeg_of_many_pixels,
        jpeg_of_a_thousand_scans, gif_of_ten_thousand_frames, gif_of_many_pixels,
        tiff_that_follows_itself, tiff_of_many_strips, webp_of_many_pixels, bmp_of_negative_size,
        text_of_a_drawing,
    )
}  # fmt: skip
