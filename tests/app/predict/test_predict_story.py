"""Photographs of a visitor's own in the Predict tab, in a real browser."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from browsing import OpenPage
from PIL import Image
from playwright.sync_api import TimeoutError

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

TO_LOAD = 180_000  # milliseconds


def test_one_photograph_and_then_several_with_a_broken_one(
    open_page: OpenPage, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for name in ("=mine.png", "second.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "words.jpg").write_text("words and nothing but words")
    page = open_page()
    page.get_by_role("tab", name="Compare").press("ArrowRight")
    page.wait_for_selector('[role="tab"][aria-selected="true"]:has-text("Paper")')
    page.get_by_role("tab", name="Paper").press("ArrowRight")
    page.wait_for_selector('[role="tab"][aria-selected="true"]:has-text("Predict")')
    page.wait_for_function("document.querySelector('#study input')?.value")
    chooser = page.locator("#photos input[type=file]")
    # A component that is still being put in place takes no file: a visitor would try again.
    for _ in range(3):
        chooser.set_input_files(tmp_path / "second.png")
        try:
            page.locator("#photos", has_text="second").wait_for(timeout=20_000)
            break
        except TimeoutError:
            continue
    page.wait_for_selector("#predicted .ds-cell", timeout=TO_LOAD)
    networks = page.locator("#predicted .ds-cell").count()
    assert networks >= 3
    assert page.locator("#predicted .ds-top").count() == networks
    assert page.locator("#predicted").get_by_text("Latency", exact=False).count() >= networks

    # No answer outlives the photograph that it was about.
    page.locator("#photos").get_by_label("Clear").first.click()
    page.wait_for_selector("#photos input[type=file]", state="attached")
    page.wait_for_selector("#predicted .ds-cell", state="detached", timeout=TO_LOAD)
    chooser.set_input_files([tmp_path / n for n in ("=mine.png", "second.png", "words.jpg")])
    page.wait_for_selector("#predicted table", timeout=TO_LOAD)
    assert page.locator("#predicted tbody tr").count() == 2
    page.locator("#predict-notice", has_text="words.jpg is a text file").wait_for()
    with page.expect_download() as download:
        page.locator("#predicted .ds-download").click()
    with Path(download.value.path()).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["image"] for line in lines} == {"'=mine.png", "second.png"}
    assert {line["rank"] for line in lines} >= {"1", "2", "3"}

    # One of the table is looked at closer.
    page.get_by_role("button", name="second.png").click()
    page.wait_for_selector("#predicted-photo .ds-cell", timeout=TO_LOAD)
    assert "second.png" in page.locator("#predicted-photo").inner_text()
    assert page.locator("#predicted tbody tr").count() == 2

    # Noise is no bird: the way on leads to a training.
    page.locator("#photos").get_by_label("Clear").first.click()
    page.wait_for_selector("#photos input[type=file]", state="attached")
    chooser.set_input_files(tmp_path / "second.png")
    page.locator("#predicted .ds-unlike button").click(timeout=TO_LOAD)
    page.wait_for_selector('[role="tab"][aria-selected="true"]:has-text("Train")')
