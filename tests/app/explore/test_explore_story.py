"""The Explore tab as a visitor lives it: a sentence is typed, and images come."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import OpenPage, served, watched_tabs

from app.explore.views import BIRD_EXAMPLES, MATCHES
from dait.runs.folder import StudyFolder

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

TO_LOAD = 120_000  # milliseconds
PHONE = {"width": 390, "height": 844}
STUDY = "tiny-20260101-120000-0a1b2c3d"
IMAGES = "#matches .ds-matches img"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, tiny_study: Path) -> Iterator[str]:
    """The app with two tiny studies: what comes along is never asked."""
    runs = tmp_path_factory.mktemp("explored") / "runs"
    shutil.copytree(tiny_study, runs / STUDY)
    silent = runs / "silent-20250101-120000-0a1b2c3d"
    shutil.copytree(tiny_study, silent)
    study = StudyFolder(silent)
    study.write_status(started=1.0)  # the older of the two
    described = study.description()
    described["recipe"]["title"] = "Silent"
    described["teacher"] |= {"name": "imagenet-lite0", "reads_text": False}
    study.write_description(described)
    with served(runs) as found:
        yield found


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[OpenPage]:
    """Open the page in a tab; in the end no tab may have logged an error or asked elsewhere."""
    with watched_tabs(browser, address) as open_tab:
        yield open_tab


def explore(page: Any) -> None:
    """Open the tab and wait until the first example is answered."""
    page.get_by_role("tab", name="Explore").click()
    page.wait_for_selector(IMAGES, timeout=TO_LOAD)


def wait_for_answer(page: Any, query: str) -> None:
    page.locator("#matches p", has_text=f"“{query}”").wait_for(timeout=TO_LOAD)


def test_the_first_example_is_answered_then_what_is_typed(open_page: OpenPage) -> None:
    page = open_page(f"?study={STUDY}&tab=explore")
    explore(page)
    box = page.locator("#query textarea, #query input")
    assert box.input_value() == BIRD_EXAMPLES[0]
    wait_for_answer(page, BIRD_EXAMPLES[0])
    assert page.locator(IMAGES).count() == MATCHES
    assert all(image.get_attribute("alt") for image in page.locator(IMAGES).all())
    assert page.locator("#teacher-figures dd").count() == 2

    box.fill("a bird with a yellow belly in the snow")
    box.press("Enter")
    wait_for_answer(page, "a bird with a yellow belly in the snow")
    assert page.locator(IMAGES).count() == MATCHES
    page.locator("#chips button").nth(1).press("Enter")
    wait_for_answer(page, BIRD_EXAMPLES[1])
    assert box.input_value() == BIRD_EXAMPLES[1]

    # What will not do is said; the matches of another sentence would look like its answer.
    for text, says in (("", "nothing to look for"), ("x" * 10_000, "10,000 characters")):
        box.fill(text)
        page.locator("#search").click()
        page.locator("#query-notice", has_text=says).wait_for(timeout=TO_LOAD)
        page.wait_for_selector(IMAGES, state="detached")
    box.fill("a duck")
    box.press("Enter")
    wait_for_answer(page, "a duck")
    page.locator("#query-notice .ds-notice").wait_for(state="detached")


def test_a_match_is_shown_under_every_network_of_its_study(open_page: OpenPage) -> None:
    page = open_page(f"?study={STUDY}&tab=explore")
    explore(page)
    for number in (2, 0):  # once while the Compare tab may still be loading, once when it is full
        match = page.locator("#matches button").nth(number)
        name = f"Test image {match.get_attribute('data-index')}"
        match.press("Enter")
        page.wait_for_selector('#tabs button[aria-selected="true"]:has-text("Compare")')
        page.locator("#row p", has_text=f"{name}.").wait_for(timeout=TO_LOAD)
        pressed = page.locator('#gallery button[aria-pressed="true"]')
        pressed.and_(page.locator(f'[aria-label^="{name}:"]')).wait_for(timeout=TO_LOAD)
        assert page.locator("#row .ds-cell").count() >= 3
        explore(page)

    # The study is chosen for the whole page; a teacher that reads nothing says why.
    page.locator("#study input").click()
    page.get_by_role("option", name="Silent").click()
    page.locator("#explore-notice", has_text="imagenet-lite0 sees images only").wait_for()
    page.wait_for_selector(IMAGES, state="detached")
    assert page.locator("#search").is_disabled()


def test_a_phone_needs_no_sideways_scrolling(open_page: OpenPage) -> None:
    page = open_page(f"?study={STUDY}&tab=explore&__theme=dark", viewport=PHONE)
    explore(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
