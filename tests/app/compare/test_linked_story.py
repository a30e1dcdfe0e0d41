"""The Compare tab's linked views, in a real browser: marks open rows, a link opens the view."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

TO_LOAD = 120_000
PHONE = {"width": 390, "height": 844}
NETWORKS = 3
"""At least so many, in whatever study comes along."""
# Of the first cell with images in the first panel, where it is in the window.
A_CELL = """selector => {
  const box = document.querySelector(`${selector} .plot-box`);
  const { customdata } = box._fullData[0], { xaxis, yaxis } = box._fullLayout;
  const y = customdata.findIndex(row => row.some(Boolean)), x = customdata[y].findIndex(Boolean);
  const { left, top } = box.getBoundingClientRect();
  return [left + xaxis._offset + xaxis.l2p(x), top + yaxis._offset + yaxis.l2p(y)];
}"""

# The images of the row are those that the filter found, or both say that there are none.
# Every network's answer in the row; the gallery shows only some of the images that match.
MOVED = """verdict => {
  const cells = [...document.querySelectorAll('#row .ds-cell')].map(cell => cell.innerText);
  return cells.length > 0 && cells.every(text => text.includes(verdict));
}"""

# What refers to a gradient or a clip by an address, which the page may have left.
BY_ADDRESS = """() => [...document.querySelectorAll('svg *')].flatMap(part => [...part.attributes]
  .map(attribute => attribute.value)
  .filter(value => value.includes('url(') && /url\\(['"]?(?!['"]?#)/.test(value)))"""


def opened(page: Any) -> list[str]:
    """The test images whose rows stand on the page."""
    rows = page.locator("#row [data-image]").all()
    return [row.get_attribute("data-image") for row in rows]


def wait_for_rows(page: Any, count: int) -> None:
    page.wait_for_function(
        "count => document.querySelectorAll('#row .ds-row').length === count",
        arg=count,
        timeout=TO_LOAD,
    )


def see_figures(page: Any) -> None:
    page.locator("#row .ds-cell").first.wait_for(timeout=TO_LOAD)
    page.wait_for_selector("#plane .main-svg", timeout=TO_LOAD)
    page.wait_for_selector("#similarity .main-svg", timeout=TO_LOAD)
    page.wait_for_selector("#representation table", timeout=TO_LOAD)


def press_cell(page: Any, figure: str) -> None:
    page.locator(figure).scroll_into_view_if_needed()
    place, before = page.evaluate(A_CELL, figure), None
    while place != before:  # until nothing above it grows any more
        page.wait_for_timeout(500)
        place, before = page.evaluate(A_CELL, figure), place
    page.mouse.click(*place)


def unfold(page: Any, fold: str, figure: str) -> None:
    page.locator(f"{fold} button").first.click()
    page.wait_for_selector(f"{figure} .main-svg", timeout=TO_LOAD)


def test_marks_open_rows_and_a_link_opens_the_view(open_page: OpenPage) -> None:
    page = open_page()
    see_figures(page)

    # A point shows its picture and is marked in every map; pressed, it is the row.
    point = page.locator("#plane .point").nth(3)
    point.scroll_into_view_if_needed()
    point.hover(force=True)
    page.wait_for_selector(".ds-thumb.seen img", timeout=TO_LOAD)
    assert page.locator("#plane .ds-rings i.over").count() >= NETWORKS
    image = page.locator(".ds-thumb figure").get_attribute("data-image")
    point.click(force=True)
    page.wait_for_selector(f'#row [data-image="{image}"]', timeout=TO_LOAD)
    page.wait_for_selector(f'#plane .ds-rings i[data-image="{image}"]', state="attached")
    assert opened(page) == [image]

    # By keyboard: the figure is one stop, arrows move, Enter opens; so are its tools.
    page.locator("#similarity .plot-box").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator("#similarity .ds-said").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "before => document.querySelector('#row [data-image]')?.dataset.image !== before",
        arg=image,
        timeout=TO_LOAD,
    )
    image = opened(page)[0]
    stops = page.locator("#bars .modebar-btn[tabindex='0']")
    assert stops.count() == 1 and page.locator("#bars .modebar-btn").count() > 1

    # What is pressed then stands below it.
    page.locator("#keep input").check()
    unfold(page, "#fold-confusion", "#confusion")
    press_cell(page, "#confusion")
    wait_for_rows(page, 2)
    unfold(page, "#fold-gains", "#gains")
    page.locator("#gains .point path").first.click(force=True)
    wait_for_rows(page, 3)
    page.locator("#row button[data-remove]").nth(1).click()
    wait_for_rows(page, 2)

    page.locator("#presets button", has_text="All wrong").click()
    found = page.locator("#found [role=status]")
    found.wait_for(timeout=TO_LOAD)
    page.wait_for_function("location.search.includes('wrong=')", timeout=TO_LOAD)
    said, images = found.inner_text(), opened(page)
    assert image in images and "wrong" in said

    # Without earlier rows the row is always an image that matches.
    page.locator("#keep input").uncheck()
    for preset, verdict in (("All right", "right"), ("All wrong", "wrong")):
        page.locator("#presets button", has_text=preset).click()
        page.wait_for_function(
            "verdict => location.search.includes(`&${verdict}=`)", arg=verdict, timeout=TO_LOAD
        )
        page.wait_for_function(MOVED, arg=verdict, timeout=TO_LOAD)
    page.locator("#keep input").check()
    page.locator("#gallery button").nth(1).click()
    wait_for_rows(page, 2)
    images = opened(page)

    assert page.evaluate(BY_ADDRESS) == []
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy-link").click()
    page.locator("#copy-link", has_text="Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    other = open_page(f"?{link.partition('?')[2]}")
    wait_for_rows(other, 2)
    other.locator("#found [role=status]", has_text=said).wait_for(timeout=TO_LOAD)
    assert opened(other) == images and other.url == link
    assert other.locator("#link-notice .ds-notice").count() == 0


def test_a_link_to_what_is_not_there_says_so_on_a_phone(open_page: OpenPage) -> None:
    page = open_page("?images=1,99999&seed=77&class=x&__theme=dark", viewport=PHONE)
    see_figures(page)
    said = page.locator("#link-notice").inner_text()
    assert all(part in said for part in ("test image 99999", "seed 77", "class “x”"))
    assert opened(page) == ["1"]
    for fold, figure in (("#fold-confusion", "#confusion"), ("#fold-gains", "#gains")):
        unfold(page, fold, figure)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
