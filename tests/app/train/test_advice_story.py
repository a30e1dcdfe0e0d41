"""A visitor asks which arms are worth it and takes them over, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import served, watched_tabs

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

TO_MEASURE = 400_000  # milliseconds: the engine is imported, the data is drawn, arms are timed
TWO_TICKED = "() => document.querySelectorAll('#arms input:checked').length === 2"


def choose_recipe(page: Any, title: str) -> None:
    page.locator("#recipe input").click()
    page.get_by_role("option", name=title).first.click()


def test_the_recommended_arms_are_taken_over(
    browser: Any, map_of_regimes: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "served" / "runs"
    runs.mkdir(parents=True)
    with (
        served(runs, DAIT_REGIMES=str(map_of_regimes)) as address,
        watched_tabs(browser, address) as open_tab,
    ):
        page = open_tab("?tab=train")
        choose_recipe(page, "Smoke test")
        # What is measured is said, and what takes too long is cancelled.
        page.locator("#teacher-fold button").first.click()
        page.get_by_role("button", name="Measure its zero-shot accuracy").click()
        page.locator("#teacher-measure-result", has_text="validation images").wait_for(
            timeout=TO_MEASURE
        )
        page.get_by_text("Before you train").click()
        page.locator("#map .js-plotly-plot .xtick").first.wait_for(timeout=TO_MEASURE)
        page.get_by_role("button", name="Which arms are worth it?").click()
        page.locator("#advice-cancel").click()
        page.locator("#advice-notice", has_text="Cancelled").wait_for()
        page.get_by_role("button", name="Which arms are worth it?").click()
        page.locator("#advice-result table").wait_for(timeout=TO_MEASURE)
        rows = page.locator("#advice-result tr", has_text="recommended").all_inner_texts()
        assert [row.split("\t")[0].strip() for row in rows if "%" in row] == ["DAIT"]
        page.get_by_role("button", name="Take these arms").click()
        page.wait_for_function(TWO_TICKED)
        for arm in ("Independent student", "DAIT"):
            assert page.locator("#arms label", has_text=f"{arm}:").locator("input").is_checked()
        # The advice is not about which arms are ticked, but about data and networks.
        assert page.locator("#advice-result table").is_visible()
        choose_recipe(page, "Field Guide")
        page.locator("#advice-notice", has_text="has changed").wait_for()
        assert page.locator("#advice-result table").count() == 0
