"""Trainings in line, as a visitor lives them: in a real browser, over two servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import OpenPage, served, watched_tabs

from app.queue.trainer import output_tail
from app.queue.training_queue import TrainingQueue
from app.studies.ticket import process_of
from dait.runs.folder import RunsRoot, StudyFolder

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = 1000  # milliseconds
TO_LOAD, TO_TRAIN = 120 * SECONDS, 400 * SECONDS
ODD_NAME = "Mine <b>& yours</b>"


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """An empty runs folder; whatever still waits or trains at the end is ended."""
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    queue = TrainingQueue(RunsRoot(folder))
    for study in [*queue.waiting(), *queue.working()]:
        queue.cancel(study.path.name)


def open_train(open_tab: OpenPage) -> Any:
    """The page at the Train tab, which stands in its address and stays open at a reload."""
    page = open_tab("?tab=train")
    page.set_default_timeout(TO_LOAD)
    return page


def choose_tiny(page: Any) -> None:
    """Two arms of the smoke test."""
    page.locator("#recipe input").click()
    page.get_by_role("option", name="Smoke test").click()
    page.locator("#expected", has_text="48 px").wait_for()
    page.get_by_label("Direct distillation").uncheck()


def start(page: Any, runs: Path, epochs: int) -> None:
    before = len(RunsRoot(runs).studies())
    page.locator("#epochs input").fill(str(epochs))
    while len(RunsRoot(runs).studies()) == before:
        # As a double click, a press is not heard while the one before it is being answered; one
        # that was heard has its time to be answered, or two studies would begin.
        page.locator("#start").click()
        for _ in range(50):
            page.wait_for_timeout(200)
            if len(RunsRoot(runs).studies()) > before:
                return


def wait_for_state(page: Any, *states: str, timeout: int = TO_LOAD) -> None:
    wanted = ", ".join(f'#live [data-state="{state}"]' for state in states)
    page.wait_for_selector(wanted, timeout=timeout)


def shown(page: Any, runs: Path) -> StudyFolder:
    """The study that the page shows closely."""
    return StudyFolder(runs / page.locator("#live .ds-hint").first.inner_text())


def choose(page: Any, study: StudyFolder) -> None:
    page.locator(f'#studies button[data-study="{study.path.name}"]').press("Enter")
    page.locator("#live", has_text=study.path.name).wait_for()


def press(page: Any, action: str) -> None:
    """Press a button by the keyboard, once it is one to press."""
    page.wait_for_selector(f"#run-{action}:enabled")
    page.locator(f"#run-{action}").press("Enter")


def enabled(page: Any) -> set[str]:
    buttons = page.locator(".ds-actions button[id^='run-']:enabled").all()
    return {button.get_attribute("id").removeprefix("run-") for button in buttons}


def test_the_queue(browser: Any, runs: Path) -> None:
    with served(runs) as address, watched_tabs(browser, address) as open_tab:
        tab = open_train(open_tab)
        first, second, third = begin_three(tab, runs)
        second_begins_when_the_first_is_cancelled(open_train(open_tab), runs, first, second)
        tab.locator("#studies .ds-state", has_text="Stopped").wait_for()
    with served(runs) as address, watched_tabs(browser, address) as open_tab:
        page = open_train(open_tab)
        found_again_paused_and_resumed(page, runs, second, third)
        renamed_deleted_and_brought_back(page, third)
        started_again_and_compared(page, runs, third)


def begin_three(page: Any, runs: Path) -> list[StudyFolder]:
    page.locator("#studies", has_text="Studies that you train appear here").wait_for()
    assert not enabled(page)
    choose_tiny(page)
    start(page, runs, 2000)
    wait_for_state(page, "queued", "preparing")
    studies = [shown(page, runs)]
    for epochs, words in ((1999, "Queued, 1st"), (1, "Queued, 2nd")):
        start(page, runs, epochs)
        page.locator("#live .ds-state", has_text=words).wait_for()
        studies.append(shown(page, runs))
    assert page.locator("#studies .ds-state", has_text="Queued, 1st").count() == 1
    assert enabled(page) == {"cancel", "again", "rename"}
    return studies


def second_begins_when_the_first_is_cancelled(
    page: Any, runs: Path, first: StudyFolder, second: StudyFolder
) -> None:
    page.locator("#live", has_text=first.path.name).wait_for()
    process = process_of(first)
    press(page, "cancel")
    wait_for_state(page, "stopped")
    assert process is not None and process_of(first) is None
    assert enabled(page) == {"resume", "retry", "again", "rename", "delete"}
    choose(page, second)
    wait_for_state(page, "preparing", "training")
    page.reload()
    page.locator("#live", has_text=second.path.name).wait_for()
    wait_for_state(page, "training", timeout=TO_TRAIN)


def found_again_paused_and_resumed(
    page: Any, runs: Path, second: StudyFolder, third: StudyFolder
) -> None:
    page.locator("#live", has_text=second.path.name).wait_for()
    wait_for_state(page, "training")
    assert enabled(page) == {"pause", "cancel", "again", "rename"}
    press(page, "pause")
    wait_for_state(page, "paused")
    choose(page, third)
    wait_for_state(page, "finished", timeout=TO_TRAIN)
    page.locator("#curves .main-svg").first.wait_for()
    assert "Smoke test" in page.locator("#studies").inner_text()
    choose(page, second)
    press(page, "resume")
    wait_for_state(page, "training", timeout=TO_TRAIN)
    assert "resumed after step" in output_tail(second)
    press(page, "cancel")
    wait_for_state(page, "stopped")


def renamed_deleted_and_brought_back(page: Any, third: StudyFolder) -> None:
    row = page.locator(f'#studies button[data-study="{third.path.name}"]')
    choose(page, third)
    press(page, "rename")
    page.get_by_label("New name").fill(" ")
    page.locator("#name-save").click()
    page.locator("#run-notice", has_text="A name has 1 to 80").wait_for()
    page.get_by_label("New name").fill(ODD_NAME)
    page.get_by_label("New name").press("Enter")
    page.locator("#live h3", has_text=ODD_NAME).wait_for()
    assert row.inner_text() == ODD_NAME and row.locator("b").count() == 0
    assert page.locator("#renaming").is_hidden()
    press(page, "delete")
    page.locator("#run-notice", has_text=f"‘{ODD_NAME}’ is deleted").wait_for()
    row.wait_for(state="detached")
    page.locator("#run-undo", has_text=ODD_NAME).press("Enter")
    row.wait_for()
    page.locator("#live", has_text=third.path.name).wait_for()
    page.locator("#run-undo").wait_for(state="hidden")


def started_again_and_compared(page: Any, runs: Path, third: StudyFolder) -> None:
    page.reload()
    choose(page, third)
    press(page, "again")
    page.locator("#handed", has_text="The form is filled in").wait_for()
    assert page.locator("#epochs input").input_value() == "1"
    assert page.locator("#recipe input").input_value().startswith("Smoke test")
    assert page.locator("#arms input:checked").count() == 2
    press(page, "compare")
    page.locator("#table caption", has_text="6 classes").wait_for()
    assert ODD_NAME in page.locator("#study input").input_value()
    page.wait_for_selector("#row .ds-cell")
