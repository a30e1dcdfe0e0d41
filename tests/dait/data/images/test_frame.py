"""Where a photograph's pixels go: cut to their ratio, with a margin, or between bars."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dait.data.base import Fit
from dait.data.images.decode import decode_framed, decode_image, decode_picture
from dait.data.images.frame import Framing

FITS: list[Fit] = ["crop", "square", "letterbox"]


def photo(width: int, height: int) -> Image.Image:
    """Red rises to the right, green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


def saved(image: Image.Image, folder: Path, name: str = "photo.png") -> Path:
    image.save(folder / name)
    return folder / name


def test_the_whole_image_is_stored_and_its_centre_evaluated(tmp_path: Path) -> None:
    file = saved(photo(600, 400), tmp_path)
    stored, frame = decode_framed(file, Framing(224, 0.875, "crop"))
    assert stored.shape == (256, 384, 3)  # as a photograph is resized to 256 for a crop of 224
    assert stored[128, 0, 0] < 3 and stored[128, -1, 0] > 252
    seen = decode_image(file, Framing(224, 0.875, "crop"))
    np.testing.assert_array_equal(seen, stored[16:240, 80:304])
    np.testing.assert_array_equal(seen, frame.framing.centre(stored))
    np.testing.assert_array_equal(decode_picture(photo(600, 400), frame.framing), seen)
    high, _ = decode_framed(saved(photo(400, 600), tmp_path), Framing(224, 0.875, "crop"))
    assert high.shape == (384, 256, 3)


def test_a_panorama_is_cut_to_three_to_one(tmp_path: Path) -> None:
    stored, _ = decode_framed(saved(photo(4000, 100), tmp_path), Framing(32, 0.8, "crop"))
    assert stored.shape == (40, 120, 3)
    middle = [stored[0, place, 0] for place in (0, 59, 119)]
    np.testing.assert_allclose(middle, [255 * x for x in (0.4625, 0.5, 0.5375)], atol=2)
    strip = io.BytesIO()
    Image.new("RGB", (1, 60_000), "red").save(strip, "PNG")
    for fit in FITS:
        assert decode_image(strip.getvalue(), Framing(16, 0.8, fit)).shape == (16, 16, 3)


def test_a_letterbox_shows_all_of_it_between_bars(tmp_path: Path) -> None:
    seen = decode_image(saved(photo(300, 150), tmp_path), Framing(60, 0.875, "letterbox"))
    assert (seen[:15] == (124, 116, 104)).all() and (seen[45:] == (124, 116, 104)).all()
    assert seen[30, 0, 0] < 6 and seen[30, -1, 0] > 250
    assert seen[15, 30, 1] < 10 and seen[44, 30, 1] > 245
    with_alpha = photo(300, 150).convert("RGBA")
    with_alpha.putalpha(0)
    clear = decode_picture(with_alpha, Framing(60, 1, "letterbox"))
    assert (clear[15:45] == 255).all() and (clear[0] == (124, 116, 104)).all()


def test_a_number_is_the_centre_square_without_a_margin() -> None:
    image = photo(90, 60)
    square = image.resize((20, 20), Image.Resampling.BICUBIC, box=(15, 0, 75, 60))
    np.testing.assert_array_equal(decode_picture(image, 20), np.asarray(square))
    np.testing.assert_array_equal(decode_picture(image, Framing(20)), np.asarray(square))
    margin = decode_picture(image, Framing(20, 0.5, "square"))
    whole = image.resize((40, 40), Image.Resampling.BICUBIC, box=(15, 0, 75, 60))
    np.testing.assert_array_equal(margin, np.asarray(whole)[10:30, 10:30])


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(120, 80), (80, 120)])
def test_boxes_and_masks_follow_every_framing(
    fit: Fit, orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    box, trim = (30, 22, 61, 55), (0, 0, 0, 12)
    marks = np.zeros((size[1], size[0]), np.uint8)
    marks[box[1] : box[3], box[0] : box[2]] = 1
    image = Image.fromarray(np.repeat(marks[..., None] * 255, 3, axis=2))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    stored, frame = decode_framed(tmp_path / "a.png", Framing(64, 0.8, fit), trim=trim)
    assert stored.shape[:2] == ((64, 64) if fit == "letterbox" else frame.scaled[::-1])
    seen = frame.framing.centre(stored)[..., 0] > 127
    if fit == "letterbox":  # whose bars are grey
        seen = frame.framing.centre(stored).min(axis=2) > 127
    mask = frame.place_mask(marks)
    assert mask.shape == (64, 64) and (mask.astype(bool) != seen).mean() < 0.03
    rows, columns = np.nonzero(seen)
    around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(frame.place_box(box), around, atol=1.3)


def test_what_lies_outside_of_the_evaluated_part_has_no_box(tmp_path: Path) -> None:
    file = saved(photo(300, 100), tmp_path)
    for fit in FITS:
        _, frame = decode_framed(file, Framing(50, 0.9, fit))
        assert np.isnan(frame.place_box((2, 20, 40, 60))).all() == (fit != "letterbox")
