"""A visitor chooses a network and reads what it is like, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

TO_LOAD = 180_000  # milliseconds: the first look imports timm


def search(page: Any, role: str, text: str) -> Any:
    """Type into the choice as people do: what stands there is selected by the click."""
    field = page.locator(f"#{role} input")
    field.click()
    page.wait_for_function(
        "role => { const field = document.querySelector(`#${role} input`);"
        " return field.selectionEnd > field.selectionStart; }",
        arg=role,
    )
    field.press_sequentially(text)
    return field


def choose(page: Any, role: str, text: str, option: str) -> None:
    search(page, role, text)
    page.get_by_role("option", name=option, exact=True).click(timeout=TO_LOAD)


def read(page: Any, role: str, says: str) -> None:
    page.locator(f"#{role}-facts", has_text=says).wait_for(timeout=TO_LOAD)


def test_networks_are_told_before_training(open_page: OpenPage) -> None:
    page = open_page("?tab=train")
    page.get_by_text("Networks and first seed").click()
    read(page, "student", "resnet10t")
    read(page, "intermediate", "multiply–accumulates per image of 96 px")
    choose(page, "student", "small_100", "mobilenetv3_small_100")
    read(page, "student", "keeps its own")
    read(page, "student", "3 × 3 positions")
    # Beyond the curated ones, by search.
    choose(page, "student", "tinynet_e", "tinynet_e")
    read(page, "student", "tinynet_e")
    search(page, "intermediate", "resnet19").press("Enter")
    read(page, "intermediate", "There is no network “resnet19”")
    assert "tinynet_e" in page.locator("#student-facts").inner_text()
