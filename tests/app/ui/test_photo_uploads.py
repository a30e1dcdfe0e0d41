"""Photographs from visitors, and what pretends to be one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.ui import photo_uploads as uploads
from app.ui.photo_uploads import read_photo
from dait.data.base import Fit
from dait.data.images.decode import BadImage
from dait.data.images.frame import Framing


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing: the header alone has to be enough."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def test_a_photograph_comes_as_its_centre_square(tmp_path: Path) -> None:
    pixels = np.zeros((60, 120, 3), np.uint8)
    pixels[:, 30:90] = (10, 200, 30)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    photo = read_photo(tmp_path / "wide.png", 32)
    assert photo.shape == (32, 32, 3)
    assert np.abs(photo[2:-2, 2:-2].astype(int) - (10, 200, 30)).max() <= 2


@pytest.mark.parametrize("fit", ["crop", "square", "letterbox"])
def test_what_is_shown_of_a_photograph_is_what_networks_see(fit: Fit, tmp_path: Path) -> None:
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.linspace(0, 255, 400), np.linspace(0, 255, 200)[:, None]
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    framing = Framing(32, 0.8, fit)
    seen, shown = (read_photo(tmp_path / "wide.png", each) for each in (framing, framing.at(160)))
    small = np.asarray(Image.fromarray(shown).resize((32, 32), Image.Resampling.BOX))
    assert np.abs(small[:, 1:-1].astype(int) - seen[:, 1:-1]).mean() < 4


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing"),
        ("words.jpg", b"this is no photograph at all", "text file"),
        ("huge.png", png_header(10_000, 6_000), "60.0 million pixels"),
        ("empty.jpg", b"", "empty"),
        ("cut.png", png_header(64, 64), "damaged"),
    ],
)
def test_what_is_no_photograph_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadImage, match=says) as refusal:
        read_photo(tmp_path / name, 32)
    assert str(tmp_path) not in str(refusal.value)


def test_a_heavy_file_is_refused_unread(tmp_path: Path) -> None:
    heavy = tmp_path / "heavy.jpg"
    with heavy.open("wb") as file:
        file.truncate(uploads.MAX_BYTES + 1)
    with pytest.raises(BadImage, match="at most 20 MiB"):
        read_photo(heavy, 32)


def test_a_file_that_is_gone_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="upload it again"):
        read_photo(tmp_path / "gone.jpg", 32)
