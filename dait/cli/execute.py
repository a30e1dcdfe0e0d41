"""The part of the training commands that needs the engine: train what is planned.

Imported once the plan is written (``cli.resume``): a training that is killed while torch is still
being imported can be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from dait.cli.options import Planned
from dait.distributed import World, on_main, this_world
from dait.errors import UserError
from dait.events import ignore
from dait.runs.folder import StudyFolder
from dait.runs.sinks import TerminalSink
from dait.runs.trackers import TrackerName
from dait.study.moved import move_data
from dait.study.plan import StudyPlan, read_plan
from dait.study.ray_executor import need_ray, train_with_ray
from dait.study.train import finish_study, run_task, train_study


def train_together(
    plan: Planned | UserError | None, trackers: Sequence[TrackerName]
) -> list[dict[str, Any]] | None:
    """Train with all processes that a launcher started; results in the main process, else None.

    plan: what to train, or why nothing can be planned; None in all but the main process. Raises the
    ``UserError`` in every process.
    """
    world = this_world()
    try:
        study, task = _shared(plan, world)
        with closing(TerminalSink()) as terminal:
            emit = terminal if world.is_main else ignore
            if task is None:
                results = train_study(study, emit, trackers, world)
            else:
                results = [run_task(study, task, emit, trackers, world)]
    finally:
        world.close()
    return results if world.is_main else None


def _shared(plan: Planned | UserError | None, world: World) -> Planned:
    """The main process's plan, read by the others from the folder that they share."""

    def folder_and_task() -> tuple[str, int | None]:
        if isinstance(plan, UserError):
            raise plan
        assert plan is not None
        return str(plan[0].folder.path.absolute()), plan[1]

    folder, task = on_main(world, folder_and_task)
    return plan if isinstance(plan, tuple) else (read_plan(StudyFolder(folder)), task)


def train_on_ray(
    planned: Callable[[], Planned], cpus_per_run: float, trackers: Sequence[TrackerName]
) -> list[dict[str, Any]]:
    """Train what is planned as tasks of Ray. Raises ``UserError`` without Ray, before planning."""
    need_ray()
    plan, _ = planned()
    with closing(TerminalSink()) as terminal:
        return train_with_ray(plan, terminal, cpus_per_run, trackers)


def finish(plan: StudyPlan) -> list[dict[str, Any]]:
    """Complete a study whose runs are all finished, and return their results."""
    with closing(TerminalSink()) as terminal:
        return finish_study(plan, terminal)


def move(folders: Sequence[Path], data: str, accept_versions: bool) -> None:
    """Keep with each study where its images lie now. Raises ``UserError`` for other images."""
    with closing(TerminalSink()) as terminal:
        for folder in folders:
            move_data(folder, data, terminal, accept_versions)
