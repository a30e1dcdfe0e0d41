"""The app as a visitor lives it, in a real browser against ``python app.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import OpenPage
from PIL import Image

from app.ui import photo_uploads as uploads

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CARDS = ".ds-cell"
SECONDS = 1000  # milliseconds
TO_LOAD = 120 * SECONDS
PHONE = {"width": 390, "height": 844}


def see_comparison(page: Any) -> None:
    """Wait until the compare tab is full."""
    page.wait_for_selector("#table table", timeout=TO_LOAD)
    page.wait_for_function(f"document.querySelectorAll('{CARDS}').length >= 3", timeout=TO_LOAD)
    page.wait_for_selector("#similarity .main-svg", timeout=TO_LOAD)


def go_to(page: Any, tab: str) -> None:
    page.get_by_role("tab", name=tab).click()


def start_tiny(page: Any, epochs: int) -> None:
    page.locator("#recipe input").click()
    page.get_by_role("option", name="Smoke test").click()
    page.locator("#expected", has_text="48 px").wait_for()
    page.locator("#epochs input").fill(str(epochs))
    page.locator("#start").click()


@pytest.mark.slow
def test_first_visit_photographs_and_the_form(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    read_the_opening(page)
    see_comparison(page)
    look_at_another_sample_image(page)
    try_photographs(page, tmp_path)
    fill_in_the_form(page)


def read_the_opening(page: Any) -> None:
    """The sentence, the image and the accuracies are in sight before anything is scrolled."""
    page.wait_for_selector("#opening .ds-strip img.heat", timeout=TO_LOAD)
    height = page.evaluate("innerHeight")
    for part in (".ds-lead", ".ds-strip figure", ".ds-tops dd"):
        boxes = [part.bounding_box() for part in page.locator(f"#opening {part}").all()]
        assert boxes and all(box["y"] + box["height"] <= height for box in boxes)
    said = page.locator("#opening .ds-strip").inner_text()
    assert "right" in said
    other = page.locator('#opening button[data-index][aria-pressed="false"]').first
    index = other.get_attribute("data-index")
    other.click()
    page.wait_for_selector(f'#opening p[data-image="{index}"]', timeout=TO_LOAD)
    page.wait_for_selector(f'#opening button[data-open="{index}"]', timeout=TO_LOAD)
    page.locator("#opening button[data-open]").click()
    page.wait_for_selector(f'#row [data-image="{index}"]', timeout=TO_LOAD)


def look_at_another_sample_image(page: Any) -> None:
    assert page.locator("#table tbody tr").count() >= 3
    for figure in ("#bars", "#plane", "#similarity"):
        assert page.locator(f"{figure} .main-svg").first.is_visible()
    pictures = page.locator(f"{CARDS} img:not(.heat)")
    assert all(picture.get_attribute("alt") for picture in pictures.all())
    before = page.locator("#row p").first.inner_text()
    page.locator("#gallery button").nth(3).press("Enter")
    page.wait_for_function(
        "before => document.querySelector('#row p')?.innerText !== before", arg=before
    )
    assert page.locator("#gallery button").nth(3).get_attribute("aria-pressed") == "true"
    page.locator("#representation tbody tr").nth(2).wait_for(timeout=TO_LOAD)


def choose_photograph(page: Any, file: Path) -> None:
    page.locator("#upload input[type=file]").set_input_files(file)


def clear_photograph(page: Any) -> None:
    page.locator("#upload").get_by_label("Clear").or_(
        page.locator("#upload").get_by_label("Remove this file")
    ).first.click()
    page.wait_for_selector("#upload input[type=file]", state="attached")


def try_photographs(page: Any, tmp_path: Path) -> None:
    (tmp_path / "heavy.jpg").write_bytes(b"\xff\xd8" + bytes(uploads.MAX_BYTES))
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "words.jpg").write_text("words and nothing but words")
    Image.new("1", (10_000, 6_000)).save(tmp_path / "huge.png")
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.jpg")
    row = page.locator("#row p").first.inner_text()

    # Too large: refused in the browser, before it is sent.
    choose_photograph(page, tmp_path / "heavy.jpg")
    page.get_by_text("heavy.jpg has 20.0 MiB; at most 20 MiB").wait_for()
    assert page.locator("#upload").get_by_text("heavy.jpg").count() == 0

    # No photograph: refused by the server, and the row stays.
    for name, says in (
        ("drawing.svg", "SVG"),
        ("words.jpg", "text file"),
        ("huge.png", "60.0 million pixels"),
    ):
        choose_photograph(page, tmp_path / name)
        page.locator("#row-notice", has_text=says).wait_for(timeout=TO_LOAD)
        assert page.locator("#row p").first.inner_text() == row
        assert page.locator('#gallery button[aria-pressed="true"]').count() == 1
        clear_photograph(page)

    choose_photograph(page, tmp_path / "mine.jpg")
    page.locator("#row", has_text="Your photograph").wait_for(timeout=TO_LOAD)
    page.wait_for_selector('#gallery:not(:has(button[aria-pressed="true"]))')
    assert page.locator(CARDS).count() >= 3


def fill_in_the_form(page: Any) -> None:
    """It shows the teacher's accuracy and refuses bad values."""
    go_to(page, "Train")
    known = page.locator("#teacher-known")
    page.locator("#teacher-fold button").first.click()
    known.get_by_text("fieldguide-clip").first.wait_for()
    page.locator("#train-teacher input").click()
    page.get_by_role("option", name="ImageNet network").click()
    known.get_by_text("imagenet-lite2").first.wait_for()
    start_tiny(page, 0)
    page.locator("#train-notice", has_text="Epochs: give a whole number").wait_for()
    known.get_by_text("not measured yet on this data").wait_for()
    the_form_survives_a_reload(page)


def the_form_survives_a_reload(page: Any) -> None:
    """The open tab and the study stand in the address, the form is kept by the browser."""
    page.locator("#epochs input").fill("7")
    page.wait_for_function("localStorage.getItem('dait-train-form') !== null")
    page.wait_for_timeout(1000)
    study = page.locator("#study input").input_value()
    page.reload()
    page.wait_for_selector('#tabs button[aria-selected="true"]:has-text("Train")', timeout=TO_LOAD)
    page.wait_for_function("document.querySelector('#epochs input')?.value === '7'")
    assert "Smoke test" in page.locator("#recipe input").input_value()
    assert page.locator("#study input").input_value() == study


def test_a_phone_needs_no_sideways_scrolling(open_page: OpenPage) -> None:
    page = open_page("?__theme=dark", viewport=PHONE)
    see_comparison(page)
    for tab, landmark in (
        ("Compare", "#table"),
        ("Data", "#data-about"),
        ("Train", "#start"),
        ("About", "#about"),
    ):
        go_to(page, tab)
        page.locator(landmark).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
