"""The report in a real browser: nothing is asked for, nothing goes wrong, every figure is drawn."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from browsing import watched_tabs

from dait.evidence.report.build import make_report

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_the_page_needs_nothing_else(browser: Any, tiny_study: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(tiny_study, tmp_path / "study"))
    (tmp_path / "report.html").write_text(make_report([study], images=1).html)
    with watched_tabs(browser, tmp_path.as_uri()) as open_tab:
        page = open_tab("report.html")
        page.wait_for_selector("html[data-drawn=yes]", timeout=120_000)
        charts = page.locator("figure.chart")
        assert charts.count() > 8
        assert page.locator("figure.chart .main-svg").count() >= charts.count()
        assert page.locator("nav a").count() == page.locator("main section").count()
        blank = "images => images.filter(i => !i.naturalWidth || !i.alt).length"
        assert page.locator("img").evaluate_all(blank) == 0

        # A dark page has light text in its figures too.
        ink = ".plot .xtick text >> nth=0"
        before = page.locator(ink).evaluate("text => getComputedStyle(text).fill")
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(
            "before => getComputedStyle(document.querySelector('.plot .xtick text')).fill "
            "!== before",
            arg=before,
        )
        # On a phone nothing hangs over.
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function("document.documentElement.scrollWidth <= 390")
