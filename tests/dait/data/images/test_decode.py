"""Every kind of photograph that people have, and every kind of file that they call one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dait.data.images.decode import BadImage, decode_image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def left_red_right_blue(width: int = 80, height: int = 80) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_every_format_gives_the_same_picture(form: str) -> None:
    pixels = decode_image(saved(left_red_right_blue(), form), 16)
    assert pixels.shape == (16, 16, 3) and pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels[8, 3], (255, 0, 0), atol=8)
    np.testing.assert_allclose(pixels[8, 12], (0, 0, 255), atol=8)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_keeps_its_brightness(mode: str) -> None:
    ramp = np.tile(np.linspace(0, 255, 64), (64, 1))
    if mode == "I;16":
        image = Image.fromarray((ramp * 257).astype(np.uint16))
    elif mode == "I":
        image = Image.fromarray((ramp * 257).astype(np.int32))
    elif mode == "F":
        image = Image.fromarray((ramp / 255).astype(np.float32))
    else:
        image = Image.fromarray(ramp.astype(np.uint8)).convert("RGB").convert(mode)
    pixels = decode_image(saved(image, "TIFF"), 32).astype(float)
    assert pixels[:, :3].mean() < 40 and pixels[:, -3:].mean() > 215
    assert abs(pixels.mean() - 127.5) < 8


def test_sixteen_bit_png_is_not_clipped() -> None:
    image = Image.fromarray(np.full((20, 20), 32768, np.uint16))
    assert decode_image(saved(image, "PNG"), 8).mean() == pytest.approx(128, abs=1)


def test_transparency_lies_over_white() -> None:
    clear = Image.new("RGBA", (30, 30), (255, 0, 0, 0))
    assert (decode_image(saved(clear, "PNG"), 8) == 255).all()
    half = Image.new("RGBA", (30, 30), (0, 0, 0, 128))
    np.testing.assert_allclose(decode_image(saved(half, "PNG"), 8), 127, atol=1)
    keyed = Image.new("RGB", (30, 30), (1, 2, 3))
    assert (decode_image(saved(keyed, "PNG", transparency=(1, 2, 3)), 8) == 255).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_followed(form: str) -> None:
    image = left_red_right_blue()
    exif = image.getexif()
    exif[0x0112] = 6  # shown turned a quarter clockwise: the left side is on top
    pixels = decode_image(saved(image, form, exif=exif), 16)
    np.testing.assert_allclose(pixels[2, 8], (255, 0, 0), atol=8)
    np.testing.assert_allclose(pixels[13, 8], (0, 0, 255), atol=8)


def test_broken_exif_does_not_cost_the_photograph() -> None:
    data = saved(left_red_right_blue(), "JPEG", exif=b"Exif\0\0no such header at all")
    np.testing.assert_allclose(decode_image(data, 16)[8, 3], (255, 0, 0), atol=8)


@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300)])
def test_the_centre_square_is_kept(width: int, height: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left = (height - 100) // 2, (width - 100) // 2
    pixels[top : top + 100, left : left + 100] = (0, 200, 0)
    seen = decode_image(saved(Image.fromarray(pixels), "PNG"), 25)
    assert (seen[2:-2, 2:-2] == (0, 200, 0)).all()  # the filter may look just past the edge
    np.testing.assert_allclose(seen.astype(int), np.broadcast_to((0, 200, 0), seen.shape), atol=30)


def test_reduction_is_antialiased_also_through_jpegs_own_scaling() -> None:
    checks = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
    image = Image.fromarray(checks)
    for form in ("PNG", "JPEG"):
        np.testing.assert_allclose(decode_image(saved(image, form), 32).astype(int), 127, atol=6)


def test_a_strip_does_not_grow() -> None:
    assert decode_image(saved(Image.new("RGB", (1, 60_000), "red"), "PNG"), 16).shape[0] == 16


@pytest.mark.parametrize("exif", [1, 6])
@pytest.mark.parametrize("side", [60, 1200])  # the large one is decoded at an eighth
def test_trimmed_pixels_are_gone(side: int, exif: int) -> None:
    pixels = np.full((side + 20, side, 3), 255, np.uint8)
    pixels[:side] = (255, 0, 0)
    tag = Image.Exif()
    tag[0x0112] = exif  # 6: the camera was turned; the banner is at the bottom of what is stored
    data = saved(Image.fromarray(pixels), "JPEG", quality=95, subsampling=0, exif=tag)
    assert decode_image(data, 16)[..., 1].max() > 40
    assert decode_image(data, 16, trim=(0, 0, 0, 20))[..., 1].max() < 10


def test_a_trim_that_leaves_nothing_is_a_reason() -> None:
    with pytest.raises(BadImage, match="uses up"):
        decode_image(saved(Image.new("RGB", (30, 20)), "PNG"), 8, trim=(0, 0, 0, 20))


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(decode_image(data, 8)[4, 4]) == (255, 0, 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_truncated_files_are_errors(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), form)
    with pytest.raises(BadImage, match="damaged"):
        decode_image(data[: len(data) // 2], 16)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "an XML or SVG file"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"%PDF-1.7 and so on", "a PDF document"),
        (b"just some words", "a text file"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (bytes(range(64)), "not a readable JPEG"),
    ],
)
def test_other_files_get_a_reason(data: bytes, words: str) -> None:
    with pytest.raises(BadImage, match=words):
        decode_image(data, 16)


def test_formats_outside_the_list_are_never_opened() -> None:
    with pytest.raises(BadImage, match="not a readable"):
        decode_image(saved(Image.new("RGB", (8, 8)), "PPM") + b"\0", 8)


def test_pixels_are_bounded_by_the_header() -> None:
    image = Image.new("L", (300, 200))
    with pytest.raises(BadImage, match="300 × 200"):
        decode_image(saved(image, "PNG"), 8, max_pixels=59_999)
    assert decode_image(saved(image, "PNG"), 8, max_pixels=60_000).shape == (8, 8, 3)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused() -> None:
    for side in (10_000, 20_000):  # above our bound; above Pillow's own as well
        with pytest.raises(BadImage, match="at most 64"):
            decode_image(saved(Image.new("1", (side, side)), "PNG"), 8)


def test_bytes_are_bounded() -> None:
    data = saved(left_red_right_blue(), "BMP")
    with pytest.raises(BadImage, match="MiB"):
        decode_image(data, 8, max_bytes=len(data) - 1)
    assert decode_image(data, 8, max_bytes=len(data)).shape == (8, 8, 3)


def test_a_path_is_named_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "kiwi.jpg").write_text("not a kiwi")
    with pytest.raises(BadImage, match=r"‘kiwi\.jpg’ is a text file") as caught:
        decode_image(tmp_path / "kiwi.jpg", 8)
    assert caught.value.reason.startswith("is a text file")
    with pytest.raises(BadImage, match="cannot be read"):
        decode_image(tmp_path / "missing.jpg", 8)
