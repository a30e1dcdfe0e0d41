"""The cost of the form's study, measured by a process that a change of the form ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.background import ERRORS
from app.config import PROJECT, AppConfig, hide_paths
from app.policy import Policy
from app.server.loader import engine
from app.studies.order import RECIPE_FILE, Order
from app.train.form import FormValues, read_form
from app.ui.events import UNLIMITED
from app.ui.notice import HIDDEN_NOTICE, Update, hint, notice, notice_box
from app.ui.templates import render
from app.ui.wording import count, duration, listed, megabytes
from dait.config.arms import arm_title
from dait.errors import UserError

LONGEST_SECONDS = 180.0
POLL_SECONDS = 0.7
OUTDATED = "The form has changed since the cost was estimated."

_turn = threading.Semaphore(1)
"""One at a time on this machine: two at once would slow each other down."""

Command = Callable[[Path, Order], list[str]]


def estimate_command(folder: Path, order: Order) -> list[str]:
    """The command line that estimates ``order``; its recipe is in ``folder``."""
    return [
        *(sys.executable, "-m", "dait", "estimate", str(folder / RECIPE_FILE), "--json"),
        *("--arms", ",".join(order.arms)),
        *("--seeds", ",".join(str(seed) for seed in order.seeds)),
    ]


class Probe:
    """The process that estimates an order. It is killed when it takes too long.

    allow: raises ``UserError`` for an order that a visitor may not train (``Policy``). Raises
    ``UserError`` too if another one runs.
    """

    def __init__(
        self,
        order: Order,
        command: Command = estimate_command,
        allow: Callable[[Order], None] = lambda order: None,
    ) -> None:
        allow(order)
        self.seeds = len(order.seeds)
        if not _turn.acquire(blocking=False):
            raise UserError(
                "Another estimate is being measured on this machine. Try again in a minute."
            )
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="dait-estimate-")
            here = Path(self._folder.name)
            (here / RECIPE_FILE).write_text(order.recipe.to_yaml(), encoding="utf-8")
            self._output, self._messages = here / "output", here / "messages"
            with self._output.open("wb") as output, self._messages.open("wb") as messages:
                self._process = subprocess.Popen(
                    command(here, order),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=messages,
                    cwd=PROJECT,
                    start_new_session=True,
                )
        except OSError as error:
            _turn.release()
            raise UserError(f"The estimate could not be started ({error}).") from error
        self._ended, self.figures, self.error = False, None, ""
        self.rough: float | None = None
        """Seconds, a first guess; None until it is known, and for what cannot be guessed."""
        threading.Thread(target=self._guess, args=[order], daemon=True).start()
        threading.Thread(target=self._wait, daemon=True).start()

    figures: Mapping[str, Any] | None
    """The fields of ``CostEstimate`` when it has succeeded; else the reason is in ``error``."""

    @property
    def running(self) -> bool:
        return not self._ended

    @property
    def progress(self) -> str:
        """The last line that it printed, which names what it measures."""
        try:
            return _last_line(self._messages) or "Getting ready"
        except OSError:  # it has just ended and removed its folder
            return "Getting ready"

    def cancel(self) -> None:
        """Kill it; it has no result then."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Wait for at most so many seconds; whether it has ended."""
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.running

    def _guess(self, order: Order) -> None:
        with suppress(UserError):  # the process says why
            self.rough = engine().rough_seconds(order.recipe, order.arms, order.seeds)

    def _wait(self) -> None:
        try:
            code = self._process.wait(timeout=LONGEST_SECONDS)
            if code == 0:
                self.figures = json.loads(self._output.read_text(encoding="utf-8"))
            else:
                last = _last_line(self._messages).removeprefix("dait: ")
                self.error = last or f"The estimate ended with exit code {code}."
        except subprocess.TimeoutExpired:
            self.cancel()
            self._process.wait()
            self.error = (
                f"A few steps took more than {LONGEST_SECONDS:.0f} seconds, so the training would "
                "take very long here. Choose smaller networks, images or batches."
            )
        except Exception as error:  # for example, it did not print JSON
            self.error = f"The estimate failed: {ERRORS.log(error, 'The estimate')}"
        finally:
            self._folder.cleanup()
            _turn.release()
            self._ended = True


class PageEstimate:
    """The estimate of one open page: a probe, or none. Changed in place."""

    def __init__(self) -> None:
        self.probe: Probe | None = None
        self.values: tuple[Any, ...] = ()
        """Of the form, when it was started."""
        self.beside = 0
        """Trainings that ran when it was started."""

    def cancel(self) -> bool:
        """End a running probe; whether there was one."""
        probe, self.probe = self.probe, None
        if probe is not None:
            probe.cancel()
        return probe is not None


@dataclass(frozen=True)
class EstimateBox:
    """The button, the result, and the timer that polls for it."""

    start: gr.Button
    message: gr.HTML
    result: gr.HTML
    timer: gr.Timer
    estimate: gr.State


def estimate_box() -> EstimateBox:
    """Lay out the button, and below it the place for the result."""
    return EstimateBox(
        start=gr.Button("Estimate time, disk and memory", size="sm", elem_id="estimate"),
        message=notice_box("estimate-notice"),
        result=gr.HTML("", elem_id="estimated", apply_default_css=False),
        timer=gr.Timer(POLL_SECONDS, active=False),
        estimate=gr.State(PageEstimate(), delete_callback=lambda estimate: estimate.cancel()),
    )


def wire_estimate_box(
    box: EstimateBox, config: AppConfig, values: list[Any], working: Callable[[], int]
) -> None:
    """Start an estimate, poll for its result, and drop it when the form changes.

    values: the form's components in the order of ``FormValues``; working: how many trainings run.
    """

    def ended(message: str, result: str = "") -> Update:
        return {box.message: message, box.result: result, box.timer: gr.Timer(active=False)}

    def start(estimate: PageEstimate, *values: Any) -> Update:
        estimate.cancel()
        try:
            order = read_form(config, FormValues(*values))
            estimate.probe = Probe(order, allow=Policy(config).require_order)
        except UserError as error:
            return ended(notice(str(error).strip()))
        estimate.values, estimate.beside = values, working()
        return {
            box.message: HIDDEN_NOTICE,
            box.result: _waiting(estimate.probe),
            box.timer: gr.Timer(active=True),
        }

    def poll(estimate: PageEstimate) -> Update:
        probe = estimate.probe
        if probe is None:
            return {box.timer: gr.Timer(active=False)}
        if probe.running:
            return {box.result: _waiting(probe)}
        if probe.figures is None:
            return ended(notice(probe.error))
        return ended(HIDDEN_NOTICE, estimate_html(probe.figures, probe.seeds, estimate.beside))

    def drop(estimate: PageEstimate, *values: Any) -> Update:
        # A change may arrive after the press behind it.
        if values == estimate.values or not estimate.cancel():
            return {box.message: gr.skip()}  # Gradio takes no empty dict
        return ended(notice(OUTDATED, calm=True))

    outputs = [box.message, box.result, box.timer]
    box.start.click(start, [box.estimate, *values], outputs, **UNLIMITED)
    box.timer.tick(poll, box.estimate, outputs, **UNLIMITED)
    gr.on(
        [component.change for component in values],
        drop,
        [box.estimate, *values],
        outputs,
        **UNLIMITED,
    )


def estimate_html(found: Mapping[str, Any], seeds: int, beside: int = 0) -> str:
    """The figures of an estimate. beside: trainings that ran while it was measured."""
    arms = [f"{arm_title(arm)} {_time(value)}" for arm, value in found["arm_seconds"].items()]
    if found["teacher_seconds"] is None:
        arms.append("without the frozen teacher, which is not on this machine yet")
    else:
        arms.append(f"frozen teacher {_time(found['teacher_seconds'])} in all")
    disk = (
        f"{megabytes(found['working_bytes'])} more during training, "
        f"{megabytes(found['cache_bytes'])} in the cache"
    )
    rows = [
        _tile(
            "Time", f"about {_time(found['seconds'])}", "" if seeds == 1 else f"for {seeds} seeds"
        ),
        _tile("Disk", megabytes(found["study_bytes"]), disk),
        _tile(
            "Memory",
            megabytes(found["memory_bytes"]),
            "of the GPU" if found["device"] == "cuda" else "",
        ),
    ]
    return render("estimate", rows=rows, arms=listed(arms), measured_on=_measured_on(found, beside))


def _tile(title: str, figure: str, small: str) -> dict[str, Any]:
    return {"title": title, "figure": figure, "small": [small]}


def _measured_on(found: Mapping[str, Any], beside: int) -> str:
    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    where = "a GPU" if found["device"] == "cuda" else f"the CPU with {threads}"
    busy = ""
    if beside:
        busy = f" {beside} training{'s' if beside > 1 else ''} ran meanwhile: alone it is faster."
    return (
        f"An estimate: some steps of every arm were just measured on {where}, with batches of "
        f"{found['batch']} random images of {found['size']} px, and scaled to "
        f"{count(found['images'])} training images.{busy} Not included: reading or "
        "drawing the images for the first time, downloads, and the t-SNE maps."
    )


def _waiting(probe: Probe) -> str:
    guess = ""
    if probe.rough is not None:
        guess = f"Roughly {_time(probe.rough)}, by the networks' size, beside the frozen teacher. "
    return hint(f"{guess}{hide_paths(probe.progress)} …", live=True)


def _time(seconds: float) -> str:
    """``12 seconds``, or as ``duration`` formats it."""
    if seconds < 50:
        whole = max(1, round(seconds))
        return f"{whole} second{'s' if whole > 1 else ''}"
    return duration(seconds).removeprefix("about ")


def _last_line(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
