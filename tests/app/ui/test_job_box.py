"""A button that starts a job: a result goes only with what it is about."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr
import pytest

from app.background import JobPool, Task
from app.ui.job_box import JobBox
from dait.errors import UserError

Handlers = dict[str, Any]


def doubled(number: object) -> tuple[str, Task[int]]:
    if not isinstance(number, int):
        raise UserError("Enter a number.")
    return f"double {number}", lambda emit: 2 * number


@pytest.fixture
def box() -> tuple[JobBox[int], Handlers]:
    """The box and what it does at each event."""
    with gr.Blocks() as page:
        number = gr.Number(1)
        box: JobBox[int] = JobBox("Double it", "double")
        box.wire(JobPool(), doubled, lambda found: {box.result: str(found)}, [number], [number])
    events = [(event, handler.fn) for handler in page.fns.values() for _, event in handler.targets]
    return box, {"ask": events[0][1], **dict(events)}


def test_a_change_that_arrives_after_the_press_behind_it_drops_nothing(
    box: tuple[JobBox[int], Handlers],
) -> None:
    form, events = box
    asked = events["ask"](3)
    key = asked[form.asked]
    assert form.result not in events["change"](key, 3)
    dropped = events["change"](key, 4)
    assert dropped[form.result] == "" and "changed" in dropped[form.message]
    assert "changed" in events["change"](key, "many")[form.message]
    assert form.result not in events["change"]("", 4)


def test_asked_then_polled(box: tuple[JobBox[int], Handlers]) -> None:
    form, events = box
    key = events["ask"](3)[form.asked]
    end = time.monotonic() + 20
    while (answer := events["tick"](key)).get(form.result) != "6" and time.monotonic() < end:
        time.sleep(0.02)
    assert answer[form.result] == "6"
    assert "Enter a number" in events["ask"](None)[form.message]
