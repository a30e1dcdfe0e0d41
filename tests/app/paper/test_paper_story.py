"""The Paper tab in a real browser: every exhibit, its data, and the way on."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from browsing import OpenPage

from app.paper.exhibits import EXHIBITS

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

TO_LOAD = 240_000  # milliseconds
PHONE = {"width": 390, "height": 844}


def test_the_figures_are_drawn_and_lead_on(open_page: OpenPage) -> None:
    page = open_page("?tab=paper")
    page.wait_for_selector('#tabs button[aria-selected="true"]:has-text("Paper")')
    for exhibit in EXHIBITS:
        page.wait_for_selector(f"#paper-{exhibit.key}", timeout=TO_LOAD)
    for key in ("features", "costs", "accuracy", "regimes", "ablations"):
        page.wait_for_selector(f"#paper-{key} .main-svg", state="attached", timeout=TO_LOAD)
    with page.expect_download(timeout=TO_LOAD) as download:
        page.locator("#paper-costs [data-csv]").first.click()
    with Path(download.value.path()).open(newline="", encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) >= 3
    page.locator("#paper-features [data-goto]").click()
    page.wait_for_selector('#tabs button[aria-selected="true"]:has-text("Compare")')
    page.wait_for_function("!location.search.includes('tab=')")


def test_a_phone_needs_no_sideways_scrolling(open_page: OpenPage) -> None:
    page = open_page("?tab=paper&__theme=dark", viewport=PHONE)
    page.wait_for_selector("#paper-ablations .main-svg", state="attached", timeout=TO_LOAD)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
