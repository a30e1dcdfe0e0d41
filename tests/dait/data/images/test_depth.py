"""Images of 10, 12 or 14 bits in files of 16, and others whose white is not where it seems."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from dait.data.folders.folder import open_folder
from dait.data.images.decode import BadImage, decode_image
from dait.data.inspection.report import report

RAMP = np.tile(np.linspace(0, 1, 64), (64, 1))


def png(values: np.ndarray, colour: int, sbit: bytes = b"") -> bytes:
    """A PNG of 16 bits: ``(h, w, c)``, written by hand, as Pillow writes greys only."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        ends = struct.pack(">L", zlib.crc32(kind + data))
        return struct.pack(">L", len(data)) + kind + data + ends

    height, width = values.shape[:2]
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 16, colour, 0, 0, 0))
    said = chunk(b"sBIT", sbit) if sbit else b""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + said + pixels + chunk(b"IEND", b"")


def tiff(values: np.ndarray, tags: dict[int, Any] | None = None) -> bytes:
    stream, info = io.BytesIO(), TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        info[tag] = value
    Image.fromarray(values).save(stream, "TIFF", tiffinfo=info)
    return stream.getvalue()


def coloured_tiff(values: np.ndarray, byteorder: str = "<") -> bytes:
    """``(h, w, 3)`` of 16 bits, uncompressed; Pillow writes none."""
    height, width, _ = values.shape
    pixels = values.astype(f"{byteorder}u2").tobytes()
    short, long = 3, 4
    entries = [
        (256, short, 1, width), (257, short, 1, height), (258, short, 3, 8), (259, short, 1, 1),
        (262, short, 1, 2), (273, long, 1, 14), (277, short, 1, 3), (278, short, 1, height),
        (279, long, 1, len(pixels)),
    ]  # fmt: skip
    head = (b"II*\0" if byteorder == "<" else b"MM\0*") + struct.pack(
        f"{byteorder}L", 14 + len(pixels)
    )
    table = struct.pack(f"{byteorder}H", len(entries))
    for tag, kind, count, value in entries:
        table += struct.pack(f"{byteorder}HHL", tag, kind, count)
        if kind == short and count == 1:  # fills the first half of its four bytes
            table += struct.pack(f"{byteorder}HH", value, 0)
        else:
            table += struct.pack(f"{byteorder}L", value)
    return head + struct.pack(f"{byteorder}3H", 16, 16, 16) + pixels + table + bytes(4)


def is_a_whole_ramp(data: bytes) -> None:
    seen = decode_image(data, 32).astype(float)
    assert seen[:, :2].mean() < 12 and seen[:, -2:].mean() > 243
    assert len(np.unique(seen)) > 25 and abs(seen.mean() - 127.5) < 4


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_white_is_the_greatest_value_of_the_bits_in_use(bits: int) -> None:
    grey = (RAMP * (2**bits - 1)).round().astype(np.uint16)
    colours = np.dstack([grey] * 3)
    is_a_whole_ramp(png(grey[..., None], 0))
    is_a_whole_ramp(png(colours, 2))
    is_a_whole_ramp(png(np.dstack([grey, np.full_like(grey, 65535)]), 4))
    is_a_whole_ramp(png(np.dstack([colours, np.full_like(grey, 2**bits - 1)]), 6))
    is_a_whole_ramp(tiff(grey))
    is_a_whole_ramp(tiff(grey.astype(np.int32)))
    is_a_whole_ramp(tiff(grey.astype(np.float32)))
    is_a_whole_ramp(coloured_tiff(colours))
    is_a_whole_ramp(coloured_tiff(colours, ">"))


def test_what_the_file_says_goes_before_what_it_holds() -> None:
    """A dark photograph of a camera of 12 bits stays dark where its file says so."""
    dark = (RAMP * 900).round().astype(np.uint16)
    wanted = 255 * 900 / 4095
    for data in (
        png(dark[..., None], 0, sbit=b"\x0c"),
        png(np.dstack([dark] * 3), 2, sbit=b"\x0c\x0c\x0c"),
        tiff(dark, {281: 4095}),
        tiff(dark, {341: 4095}),
    ):
        assert decode_image(data, 64).max() == pytest.approx(wanted, abs=2)
    is_a_whole_ramp(png((dark[..., None] / 900 * 1023).astype(np.uint16), 0))
    # What it says is wrong where a value is larger.
    is_a_whole_ramp(png((RAMP * 65535).astype(np.uint16)[..., None], 0, sbit=b"\x0c"))


def test_values_of_more_than_16_bits_come_in_steps() -> None:
    is_a_whole_ramp(tiff((RAMP * (2**20 - 1)).astype(np.int32)))
    is_a_whole_ramp(tiff(RAMP.astype(np.float32)))
    half = decode_image(tiff((RAMP / 2).astype(np.float32)), 32)
    assert half.max() == pytest.approx(127, abs=3)  # up to 1: as it is
    with pytest.raises(BadImage, match="not numbers"):
        decode_image(tiff(np.full((9, 9), np.nan, np.float32)), 8)


def test_white_may_be_zero() -> None:
    grey = (RAMP * 4095).round().astype(np.uint16)
    is_a_whole_ramp(tiff(4095 - grey, {262: 0}))


def test_a_transparent_grey_is_white() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((20, 20), 3000, np.uint16)).save(stream, "PNG", transparency=3000)
    assert (decode_image(stream.getvalue(), 8) == 255).all()


def test_a_deep_tiff_is_turned_upright() -> None:
    grey = (RAMP * 4095).round().astype(np.uint16)
    seen = decode_image(tiff(grey, {274: 6}), 16)
    assert seen[0].mean() < 20 and seen[-1].mean() > 235


def test_a_cut_file_is_damaged() -> None:
    data = png(np.random.default_rng(0).integers(0, 4096, (64, 64, 3)).astype(np.uint16), 2)
    for end in (40, 60, len(data) // 2):
        with pytest.raises(BadImage):
            decode_image(data[:end], 16)


def test_the_report_counts_them(root: Path, own_cache: Path) -> None:
    rng = np.random.default_rng(0)
    for name, most in (("ant", 4096), ("bee", 256), ("cat", 65536)):
        for number in range(12):
            file = root / name / f"{number}.png"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, most, (32, 32)).astype(np.uint16)).save(file)
    Image.new("RGB", (32, 32), (200, 100, 0)).save(root / "cat" / "plain.png")
    Image.new("RGB", (32, 32), (9, 5, 12)).save(root / "cat" / "night.png")
    said = " ".join(report(open_folder(root, 32)).warnings)
    assert "24 images are in 16-bit files whose values have 8, 12 bits only" in said
    assert "1 image is nearly black" in said and "‘cat/night.png’" in said
    assert "1 image is of one colour; the first is ‘cat/plain.png’" in said
