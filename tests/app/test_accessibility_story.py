"""Every tab, light and dark, judged by axe-core in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS = 1000  # milliseconds
TO_LOAD = 120 * SECONDS
GRAVE = ("serious", "critical")
LEFT_OUT: dict[str, str] = {}
"""Rules that Gradio's own parts break, with the reason: none at present."""

# What each tab shows when it is full, so that axe sees more than its skeleton.
FULL = {
    "Compare": "#similarity .main-svg",
    "Explore": "#pipeline .ds-pipe",
    "Data": "#source",
    "Train": "#studies .ds-card, #studies .ds-empty",
    "About": ".ds-prose",
}
# What is being made anew stands dimmed, and axe would judge that. One answer may ask for the next.
CALM_FOR = 2 * SECONDS
CALM = """least => {
  const busy = [...document.querySelectorAll('.pending')].some(part => part.offsetParent !== null);
  if (busy || window.calmSince === undefined) window.calmSince = performance.now();
  return performance.now() - window.calmSince > least;
}"""


# Gradio's dark theme is a class of the body. Nothing is asked for it, but colours pass over.
SET_DARK = """async dark => {
  document.body.classList.toggle('dark', dark);
  const passing = document.getAnimations().filter(one => one instanceof CSSTransition);
  await Promise.allSettled(passing.map(one => one.finished));
}"""
COLOURS = ["color-contrast", "link-in-text-block"]


def test_axe_finds_nothing_grave(open_page: OpenPage) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    page = open_page("?__theme=light")
    page.wait_for_selector(FULL["Compare"], timeout=TO_LOAD)
    names = [tab.inner_text() for tab in page.get_by_role("tab").all()]
    assert set(FULL) <= set(names)
    found = []
    for name in names:
        page.get_by_role("tab", name=name, exact=True).click()
        page.locator(FULL.get(name, "main")).first.wait_for(timeout=TO_LOAD)
        if name == "Train":
            unfold(page)
        wait_until_calm(page)
        options: dict[str, Any] = {"rules": {rule: {"enabled": False} for rule in LEFT_OUT}}
        options["resultTypes"] = ["violations"]  # the others are of some thousand elements
        found += [f"{name}: {fault}" for fault in grave(axe.run(page, options=options).response)]
        page.evaluate(SET_DARK, True)
        options["runOnly"] = {"type": "rule", "values": COLOURS}
        faults = grave(axe.run(page, options=options).response)
        found += [f"{name}, dark: {fault}" for fault in faults]
        page.evaluate(SET_DARK, False)
    assert not found, "\n".join(found)


def wait_until_calm(page: Any) -> None:
    page.evaluate("delete window.calmSince")
    page.wait_for_function(CALM, arg=CALM_FOR, timeout=TO_LOAD)


def unfold(page: Any) -> None:
    """What is folded is judged too."""
    page.get_by_text("Networks and first seed").click()
    page.locator("#train-pipeline button").first.click()
    page.wait_for_selector("#train-pipeline .ds-pipe", timeout=TO_LOAD)
    page.locator("#student-facts", has_text="parameters").wait_for(timeout=TO_LOAD)


def grave(response: dict[str, Any]) -> list[str]:
    """A line for each element that breaks a rule gravely."""
    return [
        f"{fault['impact']} {fault['id']}: {node['target']} {node['html'][:160]}"
        for fault in response["violations"]
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]
