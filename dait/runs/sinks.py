"""Who listens to the engine: the run folder, the study's folder, the terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from tqdm import tqdm

from dait.events import (
    Emit,
    EpochDone,
    Event,
    Note,
    Progress,
    StageDone,
    StageSkipped,
    StageStarted,
    StepDone,
)
from dait.runs.folder import RunFolder, StatusFolder, StudyFolder
from dait.runs.progress import Clock, ProgressTracker, StagePlan

__all__ = ["RunSink", "StagePlan", "StudySink", "TerminalSink", "describe", "fan_out"]

SECONDS_BETWEEN_WRITES = 0.5


def fan_out(*sinks: Emit) -> Emit:
    """A sink that hands every event to each of ``sinks``, in their order."""

    def emit(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return emit


def describe(event: Event) -> str | None:
    """The line that a log shows for an event, or None for one too small to be logged."""
    match event:
        case Note(text=text):
            return text
        case StageStarted():
            return (
                f"stage {event.index + 1} of {event.count}: {event.name}, "
                f"{event.epochs:,} epochs, {event.steps:,} steps"
            )
        case StageSkipped():
            return f"stage {event.index + 1} of {event.count}: {event.name} was trained before"
        case EpochDone():
            figures = [f"loss {event.loss:.4f}"]
            figures += [f"{name} {value:.4f}" for name, value in event.parts.items()]
            if math.isfinite(event.val_top1):
                figures.append(f"validation top-1 {event.val_top1:.1%}")
            figures.append(f"{event.images_per_second:.0f} images/s")
            figures.append(f"{event.seconds:.1f} s")
            return f"{event.stage}, epoch {event.epoch + 1} of {event.epochs}: {', '.join(figures)}"
        case StageDone():
            reached = f", validation top-1 {event.val_top1:.1%}"
            return (
                f"{event.name} done in {event.seconds:.1f} s"
                f"{reached if math.isfinite(event.val_top1) else ''}"
            )
        case Progress() if event.done >= event.total:
            return f"{event.what}: {event.total:,} {event.unit}"
    return None


class _StatusSink:
    """Turns events into ``status.json``: at most two writes a second, ends of stages at once."""

    def __init__(self, folder: StatusFolder, plan: Sequence[StagePlan], clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self.tracker = ProgressTracker(list(plan), clock)
        self.first_stage = 0
        self._epochs = 0
        self._pending: dict[str, Any] = {}
        self._last_write = -math.inf

    def __call__(self, event: Event) -> None:
        """Take one event; raises ``UserError`` when the folder cannot be written."""
        now = True
        match event:
            case Note(text=text):
                self._pending["message"] = text
            case Progress():
                self._pending["message"] = (
                    f"{event.what}: {event.done:,} of {event.total:,} {event.unit}"
                )
                now = event.done >= event.total
            case StageStarted():
                stage = self.first_stage + event.index
                self.tracker.begin_stage(stage, event.steps, event.done)
                self._epochs = event.epochs
                self._pending |= {
                    "state": "training",
                    "stage": event.name,
                    "stage_index": event.index,
                    "stage_count": event.count,
                    "epoch": 0,
                    "epochs": event.epochs,
                    "message": describe(event),
                }
            case StageSkipped():
                self.tracker.skip_to(self.first_stage + event.index + 1)
                self._pending["message"] = describe(event)
            case StepDone():
                self.tracker.reach(event.step)
                self._pending |= {"epoch": event.epoch + 1, "epochs": self._epochs}
                now = False
            case EpochDone():
                self._pending |= {"epoch": event.epoch + 1, "message": describe(event)}
            case StageDone():
                self.tracker.end_stage()
                self._pending["message"] = describe(event)
        if now or self.clock() - self._last_write >= SECONDS_BETWEEN_WRITES:
            self.flush()

    def flush(self) -> None:
        """Write what the last events said, whether or not half a second has passed."""
        if self.tracker.plan:  # without one nobody knows, and what was written before stays
            self._pending["progress"] = self.tracker.fraction
            self._pending["eta_seconds"] = self.tracker.eta_seconds
        self.folder.write_status(**self._pending)
        self._pending = {}
        self._last_write = self.clock()


class RunSink(_StatusSink):
    """One run's ``status.json``, ``metrics.jsonl`` and ``log.txt``.

    ``plan`` lists every stage of the run. The states before and after training (``preparing``,
    ``evaluating``, ``finished``, ...) are the pipeline's to write. An epoch that is trained again,
    because the run was cut off after it but before it was safe, has its row in place of the first.
    """

    def __init__(
        self, folder: RunFolder, plan: Sequence[StagePlan], clock: Clock = time.monotonic
    ) -> None:
        super().__init__(folder, plan, clock)
        self.run = folder
        self._rows = {(row["stage"], row["epoch"]) for row in folder.metrics()}

    def __call__(self, event: Event) -> None:
        """Take one event; raises ``UserError`` when the folder cannot be written."""
        if isinstance(event, EpochDone):
            if (event.stage, event.epoch + 1) in self._rows:
                self.run.drop_metrics(event.stage, event.epoch + 1)
                self._rows = {(row["stage"], row["epoch"]) for row in self.run.metrics()}
            self.run.append_metrics(
                {
                    "stage": event.stage,
                    "epoch": event.epoch + 1,
                    "epochs": event.epochs,
                    "loss": event.loss,
                    "parts": event.parts,
                    "val_top1": event.val_top1,
                    "val_loss": event.val_loss,
                    "learning_rate": event.learning_rate,
                    "images_per_second": event.images_per_second,
                    "seconds": event.seconds,
                }
            )
        if (line := describe(event)) is not None:
            self.run.log(line)
        super().__call__(event)


class StudySink(_StatusSink):
    """A study's ``status.json``, over all of its runs; ``plans`` holds the stages of each run."""

    def __init__(
        self,
        folder: StudyFolder,
        plans: Sequence[Sequence[StagePlan]],
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(folder, [stage for plan in plans for stage in plan], clock)
        self.plans = plans

    def skip_run(self, index: int) -> None:
        """Run ``index`` (from 0) was finished by a process before this one."""
        first = self._first_stage(index)
        self.tracker.skip(range(first, first + len(self.plans[index])))

    def begin_run(self, index: int, arm: str, seed: int) -> None:
        """Run ``index`` (from 0) begins; the events that follow are its own."""
        self.first_stage = self._first_stage(index)
        self.tracker.skip_to(self.first_stage)
        self._pending |= {
            "run_index": index,
            "run_count": len(self.plans),
            "arm": arm,
            "seed": seed,
        }
        self.flush()

    def _first_stage(self, index: int) -> int:
        return sum(len(plan) for plan in self.plans[:index])


class TerminalSink:
    """Progress bars and lines on stderr (or ``stream``); bars only where that is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._steps: tqdm | None = None
        self._work: tqdm | None = None

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case StageStarted():
                label = f"{event.index + 1}/{event.count} {event.name}"
                self._steps = self._open(self._steps, label, event.steps, "step")
                # A resumed stage starts in the middle; its rate must not count what was before.
                self._steps.initial = self._steps.n = self._steps.last_print_n = event.done
            case StepDone() if self._steps is not None:
                self._steps.set_postfix_str(f"loss {event.loss:.3f}", refresh=False)
                self._steps.update(event.step - self._steps.n)
            case Progress():
                if self._work is None or self._work.desc != event.what:
                    self._work = self._open(self._work, event.what, event.total, event.unit)
                self._work.update(event.done - self._work.n)
        if (line := describe(event)) is not None:
            tqdm.write(line, file=self.stream)
        if isinstance(event, StageDone):
            _close(self._steps)
            self._steps = None
        if isinstance(event, Progress) and event.done >= event.total:
            _close(self._work)
            self._work = None

    def close(self) -> None:
        """Remove the bars, if there are any."""
        _close(self._steps)
        _close(self._work)
        self._steps = self._work = None

    def _open(self, old: tqdm | None, label: str, total: int, unit: str) -> tqdm:
        _close(old)
        disable = not self.stream.isatty()
        bar = tqdm(total=total, unit=unit, file=self.stream, leave=False, disable=disable)
        bar.desc = label
        return bar


def _close(bar: tqdm | None) -> None:
    if bar is not None:
        bar.close()
