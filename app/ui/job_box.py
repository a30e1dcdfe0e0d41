"""A button that starts a job in the background, its progress with Cancel, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import gradio as gr

from app.background import Job, JobPool, Task
from app.ui.events import QUIET, UNLIMITED
from app.ui.notice import HIDDEN_NOTICE, Update, notice, notice_box, progress_html
from dait.errors import UserError

POLL_SECONDS = 0.7
SOON_SECONDS = 0.4
"""How long a press waits for a sentence about what is wrong before it shows progress."""

OUTDATED = "The form has changed since this was asked. Ask again."
CANCELLED = "Cancelled."

Result = TypeVar("Result")


class JobBox(Generic[Result]):
    """Laid out where it is made; ``wire`` says what is started and how its result is shown."""

    def __init__(self, label: str, name: str, **button: Any) -> None:
        with gr.Row(elem_classes="ds-actions"):
            self.press = gr.Button(label, size="sm", elem_id=f"{name}-ask", **button)
            self.cancel = gr.Button("Cancel", size="sm", visible=False, elem_id=f"{name}-cancel")
        self.message = notice_box(f"{name}-notice")
        self.result = gr.HTML("", elem_id=f"{name}-result", apply_default_css=False)
        self.timer = gr.Timer(POLL_SECONDS, active=False)
        self.asked = gr.State("")

    def wire(
        self,
        jobs: JobPool[Result],
        task: Callable[..., tuple[str, Task[Result]]],
        show: Callable[[Result], Update],
        inputs: Sequence[Any],
        about: Sequence[Any] = (),
        cleared: Update | None = None,
    ) -> None:
        """Wire the buttons.

        jobs: where they run, shared by visitors. task: what is asked for and its key, from the
        values of ``inputs``; raises ``UserError``. show: the updates for a result, ``self.result``
        among them. about: the inputs that the result is dropped with when they change to what has
        another key. cleared: further components, and what they are without a result.
        """
        cleared = cleared or {}

        def ended(message: str = HIDDEN_NOTICE) -> Update:
            return {
                self.message: message,
                self.asked: "",
                self.result: "",
                self.cancel: gr.update(visible=False),
                self.timer: gr.Timer(active=False),
                **cleared,
            }

        def shown(job: Job[Result]) -> Update:
            if job.running:
                running = {
                    self.result: progress_html(job),
                    self.cancel: gr.update(visible=True),
                    self.timer: gr.Timer(active=True),
                }
                return cleared | running
            if job.result is None:
                return ended(notice(str(job.error), calm=job.cancelled))
            done = {self.cancel: gr.update(visible=False), self.timer: gr.Timer(active=False)}
            return done | show(job.result)

        def ask(*values: Any) -> Update:
            try:
                key, wanted = task(*values)
            except UserError as error:
                return ended(notice(str(error).strip()))
            job = jobs.start(key, wanted)
            job.wait(SOON_SECONDS)
            return {self.asked: key, self.message: HIDDEN_NOTICE, **shown(job)}

        def poll(key: str) -> Update:
            job = jobs.get(key)
            if job is None:  # dropped, or forgotten after others
                return {self.timer: gr.Timer(active=False)}
            return shown(job)

        def stop(key: str) -> Update:
            job = jobs.get(key)
            if job is not None:
                job.cancel()
            return ended(notice(CANCELLED, calm=True))

        def drop(key: str, *values: Any) -> Update:
            if not key or asks_for(key, values):  # a change may arrive after the press behind it
                return {self.message: gr.skip()}  # Gradio takes no empty dict
            return ended(notice(OUTDATED, calm=True))

        def asks_for(key: str, values: tuple[Any, ...]) -> bool:
            try:
                return task(*values)[0] == key
            except UserError:
                return False

        outputs = [self.message, self.asked, self.result, self.cancel, self.timer, *cleared]
        self.press.click(ask, list(inputs), outputs, concurrency_limit=2, **QUIET)
        self.cancel.click(stop, self.asked, outputs, **UNLIMITED)
        self.timer.tick(poll, self.asked, outputs, **UNLIMITED)
        if about:
            changes = [component.change for component in about]
            gr.on(changes, drop, [self.asked, *inputs], outputs, **UNLIMITED)
