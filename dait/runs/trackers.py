"""Trackers of other projects that follow a run: TensorBoard, Weights & Biases, Trackio.

They are listeners beside the run folder, reached through Accelerate, and nothing of a training
depends on them. What they see is what ``metrics.jsonl`` says, by the optimiser steps of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from dait.config.recipe import Recipe
from dait.errors import UserError
from dait.events import EpochDone, Event, StageSkipped, StageStarted, StepDone

TrackerName = Literal["tensorboard", "wandb", "trackio"]
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)
FOLDER = "tensorboard"
"""In the study's folder, with a folder for every run: ``tensorboard --logdir STUDY/tensorboard``"""


def parse_trackers(names: Sequence[str]) -> tuple[TrackerName, ...]:
    """Names → trackers, each once. Raises UserError for one unknown or not installed."""
    found: list[TrackerName] = []
    for name in names:
        tracker = next((known for known in TRACKERS if known == name), None)
        if tracker is None:
            raise UserError(f"There is no tracker {name!r}. Known: {', '.join(TRACKERS)}.")
        for package in ("accelerate", tracker):
            if find_spec(package) is None:
                raise UserError(
                    f"The tracker {tracker} needs the package {package}: pip install {package}"
                )
        if tracker not in found:
            found.append(tracker)
    return tuple(found)


class TrackerSink:
    """Tells trackers of every epoch and, in the end, of the result."""

    def __init__(self, trackers: Sequence[Any]) -> None:
        self._trackers = trackers
        self._before = 0  # steps of the stages before this one
        self._steps = self._step = 0

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case StageStarted():
                self._before += self._steps
                self._steps, self._step = event.steps, event.done
            case StageSkipped():
                self._before += self._steps
                self._steps = self._step = event.steps
            case StepDone():
                self._step = event.step
            case EpochDone():
                figures = {
                    "loss": event.loss,
                    **event.parts,
                    "val_top1": event.val_top1,
                    "val_loss": event.val_loss,
                    "learning_rate": event.learning_rate,
                    "images_per_second": event.images_per_second,
                }
                self._log({f"{event.stage}/{name}": value for name, value in figures.items()})

    def result(self, result: Mapping[str, Any]) -> None:
        """The figures of the test split (fractions), once, after everything else."""
        names = ("top1", "top5", "mean_per_class", "macro_f1", "ece")
        self._log({f"test/{name}": result[name] for name in names if name in result})

    def _log(self, figures: Mapping[str, float]) -> None:
        finite = {name: float(value) for name, value in figures.items() if math.isfinite(value)}
        for tracker in self._trackers:
            tracker.log(finite, step=self._before + self._step)


@contextmanager
def tracked(
    names: Sequence[TrackerName], study: Path, recipe: Recipe, run: str
) -> Iterator[TrackerSink]:
    """A sink for one run, whose trackers are closed however the block ends.

    study: the study's folder; run: the run's name in it. In Weights & Biases and Trackio the
    project has the recipe's name; a resumed run is continued.
    """
    with ExitStack() as stack:
        trackers = []
        for name in names:
            tracker = _create(name, study, recipe, run)
            tracker.start()
            stack.callback(tracker.finish)
            trackers.append(tracker)
        yield TrackerSink(trackers)


def _create(name: TrackerName, study: Path, recipe: Recipe, run: str) -> Any:
    from accelerate import tracking

    config = recipe.model_dump()
    if name == "tensorboard":
        return tracking.TensorBoardTracker(run, study / FOLDER)
    if name == "trackio":
        title = f"{study.name}-{run}"
        return tracking.TrackioTracker(recipe.name, name=title, config=config, resume="allow")
    return tracking.WandBTracker(
        recipe.name,
        name=f"{study.name}-{run}",
        id=f"{study.name}-{run}",
        dir=str(study),
        config=config,
        resume="allow",
    )
