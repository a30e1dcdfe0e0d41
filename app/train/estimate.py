"""What the form's study would cost, measured by a process that a change of the form ends."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.background import FAULTS
from app.config import PROJECT, AppConfig, hide_paths
from app.policy import Policy
from app.studies.order import RECIPE_FILE, Order
from app.train.form import FormValues, read_form
from app.ui.notice import HIDDEN_NOTICE, notice, notice_box
from app.ui.wording import count, duration, escape, listed, megabytes
from dait.errors import UserError
from dait.evidence.palette import arm_title

LONGEST_SECONDS = 180.0
POLL_SECONDS = 0.7
QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": None,
    "show_progress": "hidden",
}
OUTDATED = "The form has changed since the cost was estimated."

_turn = threading.Semaphore(1)
"""One at a time on this machine: two that measure at once measure one another."""

Command = Callable[[Path, Order], list[str]]


def estimate_command(folder: Path, order: Order) -> list[str]:
    """The command line that estimates ``order``, whose recipe lies in ``folder``."""
    return [
        *(sys.executable, "-m", "dait", "estimate", str(folder / RECIPE_FILE), "--json"),
        *("--arms", ",".join(order.arms)),
        *("--seeds", ",".join(str(seed) for seed in order.seeds)),
    ]


class Probe:
    """The process that estimates an order. It is ended when it takes too long.

    allow: raises ``UserError`` for an order that a visitor may not train (``Policy``). Raises
    ``UserError`` too where another one measures.
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
            self._output, self._said = here / "output", here / "said"
            with self._output.open("wb") as output, self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    command(here, order),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=said,
                    cwd=PROJECT,
                    start_new_session=True,
                )
        except OSError as error:
            _turn.release()
            raise UserError(f"The estimate could not be started ({error}).") from error
        self._ended, self.figures, self.error = False, None, ""
        threading.Thread(target=self._wait, daemon=True).start()

    figures: Mapping[str, Any] | None
    """What ``CostEstimate`` holds, once it is known; else why not, in ``error``."""

    @property
    def running(self) -> bool:
        return not self._ended

    @property
    def progress(self) -> str:
        """Its last word, which says what it measures."""
        try:
            return _last_line(self._said) or "Getting ready"
        except OSError:  # it has ended meanwhile, and its folder with it
            return "Getting ready"

    def cancel(self) -> None:
        """End it; it has no answer then."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after at most so many seconds."""
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.running

    def _wait(self) -> None:
        try:
            code = self._process.wait(timeout=LONGEST_SECONDS)
            if code == 0:
                self.figures = json.loads(self._output.read_text(encoding="utf-8"))
            else:
                said = _last_line(self._said).removeprefix("dait: ")
                self.error = said or f"The estimate ended with exit code {code}."
        except subprocess.TimeoutExpired:
            self.cancel()
            self._process.wait()
            self.error = (
                f"A few steps took more than {LONGEST_SECONDS:.0f} seconds, so the training would "
                "take very long here. Choose smaller networks, images or batches."
            )
        except Exception as error:  # what it printed is no JSON, say
            self.error = f"The estimate failed: {FAULTS.log(error, 'The estimate')}"
        finally:
            self._ended = True
            self._folder.cleanup()
            _turn.release()


class Asked:
    """What one open page has asked: a probe, or nothing. Changed in place."""

    def __init__(self) -> None:
        self.probe: Probe | None = None
        self.beside = 0

    def forget(self) -> bool:
        """End what is under way; whether there was anything."""
        probe, self.probe = self.probe, None
        if probe is not None:
            probe.cancel()
        return probe is not None


@dataclass(frozen=True)
class EstimateBox:
    """The button, what it found, and the clock that looks for it."""

    ask: gr.Button
    message: gr.HTML
    found: gr.HTML
    timer: gr.Timer
    asked: gr.State


def estimate_box() -> EstimateBox:
    """Lay the button out, and the place of the answer under it."""
    ask = gr.Button("CostEstimate time, disk and memory", size="sm", elem_id="estimate")
    message = notice_box("estimate-notice")
    found = gr.HTML("", elem_id="estimated", apply_default_css=False)
    asked = gr.State(Asked(), delete_callback=lambda asked: asked.forget())
    return EstimateBox(ask, message, found, gr.Timer(POLL_SECONDS, active=False), asked)


def wire_estimate_box(
    box: EstimateBox, config: AppConfig, values: list[Any], working: Callable[[], int]
) -> None:
    """Ask, look for the answer, and drop it when the form changes.

    values: the form's components in the order of ``FormValues``; working: how many trainings run.
    """
    shown = [box.message, box.found, box.timer]

    def ask(asked: Asked, *values: Any) -> list[Any]:
        asked.forget()
        try:
            order = read_form(config, FormValues(*values))
            asked.probe = Probe(order, allow=Policy(config).require_order)
        except UserError as error:
            return [notice(str(error).strip()), "", gr.Timer(active=False)]
        asked.beside = working()
        return [HIDDEN_NOTICE, _waiting(asked.probe), gr.Timer(active=True)]

    def look(asked: Asked) -> list[Any]:
        probe = asked.probe
        if probe is None:
            return [gr.skip(), gr.skip(), gr.Timer(active=False)]
        if probe.running:
            return [gr.skip(), _waiting(probe), gr.skip()]
        if probe.figures is None:
            return [notice(probe.error), "", gr.Timer(active=False)]
        found = estimate_html(probe.figures, probe.seeds, asked.beside)
        return [HIDDEN_NOTICE, found, gr.Timer(active=False)]

    def drop(asked: Asked) -> list[Any]:
        if not asked.forget():
            return [gr.skip(), gr.skip(), gr.skip()]
        return [notice(OUTDATED, calm=True), "", gr.Timer(active=False)]

    box.ask.click(ask, [box.asked, *values], shown, **QUIET)
    box.timer.tick(look, box.asked, shown, **QUIET)
    gr.on([component.change for component in values], drop, box.asked, shown, **QUIET)


def estimate_html(found: Mapping[str, Any], seeds: int, beside: int = 0) -> str:
    """The figures of an estimate. ``beside``: trainings that ran while it was measured."""
    arms = [f"{arm_title(arm)} {_time(value)}" for arm, value in found["arm_seconds"].items()]
    if found["teacher_seconds"] is None:
        arms.append("the frozen teacher is not on this machine yet, and its time not in it")
    else:
        arms.append(f"frozen teacher {_time(found['teacher_seconds'])} in all")
    config = "GPU" if found["device"] == "cuda" else "memory"
    tiles = [
        ("Time", f"about {_time(found['seconds'])}", "" if seeds == 1 else f"for {seeds} seeds"),
        (
            "Disk",
            megabytes(found["study_bytes"]),
            f"{megabytes(found['working_bytes'])} more while it trains, "
            f"{megabytes(found['cache_bytes'])} in the cache",
        ),
        ("Memory", megabytes(found["memory_bytes"]), f"of the {config}" if config == "GPU" else ""),
    ]
    body = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for name, value, more in tiles
    )
    return (
        f'<div class="ds-card" role="status"><dl class="ds-tiles">{body}</dl>'
        f'<p class="ds-hint">Each seed: {escape(listed(arms))}.</p>'
        f'<p class="ds-hint">{escape(_measured_on(found, beside))}</p></div>'
    )


def _measured_on(found: Mapping[str, Any], beside: int) -> str:
    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    where = "a GPU" if found["device"] == "cuda" else f"the CPU with {threads}"
    busy = ""
    if beside:
        busy = f" {beside} training{'s' if beside > 1 else ''} ran beside it: alone it is quicker."
    return (
        f"An estimate: some steps of every arm were measured just now on {where}, with batches of "
        f"{found['batch']} random images of {found['size']} px, and multiplied to "
        f"{count(found['images'])} training images.{busy} Not in it: reading or drawing the images "
        "for the first time, downloads, and the t-SNE maps."
    )


def _waiting(probe: Probe) -> str:
    return f'<p class="ds-hint" role="status">{escape(hide_paths(probe.progress))} …</p>'


def _time(seconds: float) -> str:
    """``12 seconds``, else in the words of ``duration``."""
    if seconds < 50:
        whole = max(1, round(seconds))
        return f"{whole} second{'s' if whole > 1 else ''}"
    return duration(seconds).removeprefix("about ")


def _last_line(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
