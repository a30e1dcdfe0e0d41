"""Many tabs of one browser, which has six connections to a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import OpenPage
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1200)]

TABS = 8
TO_LOAD = 500_000  # milliseconds


def wait_for_row(page: Any) -> None:
    page.wait_for_selector("#row .ds-cell", timeout=TO_LOAD, state="attached")


def press_image(page: Any, number: int) -> None:
    before = page.locator("#row p").first.inner_text()
    page.locator("#gallery button").nth(number).press("Enter")
    page.wait_for_function(
        "before => document.querySelector('#row p')?.innerText !== before",
        arg=before,
        timeout=TO_LOAD,
    )


def test_eight_tabs_and_an_upload_in_the_last(open_page: OpenPage, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.jpg")
    first = open_page()
    # Where nothing is pressed later, all is asked and answered too, but no figure is drawn.
    looked_at = (0, 3, TABS - 1)
    others = [
        open_page("" if number in looked_at else "?tab=about", beside=first)
        for number in range(1, TABS)
    ]
    tabs = [first, *others]
    for tab in tabs:
        wait_for_row(tab)
    last = tabs[-1]
    last.locator("#upload input[type=file]").set_input_files(tmp_path / "mine.jpg")
    last.locator("#row", has_text="Your photograph").wait_for(timeout=TO_LOAD)
    for tab in (tabs[0], tabs[3]):  # what was hidden meanwhile still answers
        press_image(tab, 3)
