"""What ``train`` and ``study`` share besides a recipe: resuming, trackers, several processes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dait.errors import UserError
from dait.runs.folder import StudyFolder
from dait.runs.trackers import TRACKERS, TrackerName
from dait.study.plan import StudyPlan, read_plan

if TYPE_CHECKING:
    from dait.distributed import World

Planned = tuple[StudyPlan, int | None]
"""A study, and which of its runs to train; None: all of them."""

_BESIDES_RESUME = (
    *("resume", "json", "run", "tracker", "executor", "cpus_per_run", "data", "accept_versions"),
)
"""Options that do not change what is trained."""
_AS_WRITTEN = {"recipe": "RECIPE"}


def add_resume_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--resume DIR``."""
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help=f"go on with what was cut off: the folder of {what}, or its name in the runs folder; "
        "everything else is read from it. On a CPU, with as many threads as before, it comes to "
        "the same weights bit for bit",
    )


def add_moved_options(parser: argparse.ArgumentParser, data: bool = True) -> None:
    """Add ``--data FOLDER`` (unless there is one) and ``--accept-versions``."""
    if data:
        parser.add_argument(
            "--data",
            metavar="FOLDER",
            help="where the images lie now, if they have moved; kept with the study",
        )
    parser.add_argument(
        "--accept-versions",
        action="store_true",
        help="go on where other versions of libraries read the images than the study was begun "
        "with (then not bit for bit as before)",
    )


def move_if_told(args: argparse.Namespace, folders: Sequence[Path]) -> None:
    """Keep ``--data`` with the studies of ``folders``. Raises UserError for other images."""
    if args.data is None:
        return
    from dait.runs.sinks import TerminalSink
    from dait.study.moved import move_data

    with closing(TerminalSink()) as terminal:
        for folder in folders:
            move_data(folder, args.data, terminal, args.accept_versions)


def resumed_plan(args: argparse.Namespace, folder: Path) -> StudyPlan:
    """The plan of the study in ``folder``, with its images where ``--data`` says they are."""
    move_if_told(args, [folder])
    return replace(read_plan(StudyFolder(folder)), accept_versions=args.accept_versions)


def add_reuse_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--reuse DIR``."""
    parser.add_argument(
        "--reuse",
        action="append",
        default=[],
        metavar="DIR",
        help="take intermediate teachers, classifiers and assistants from an earlier study or run "
        "that trained the very same ones (settings, images, start weights, teacher, code and "
        "library versions), instead of training them again (may be repeated)",
    )


def add_tracker_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--tracker NAME``."""
    parser.add_argument(
        "--tracker",
        action="append",
        default=[],
        metavar="NAME",
        help=f"tell a tracker too: {', '.join(TRACKERS)} (may be repeated)",
    )


def refuse_other_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Raises UserError where ``--resume`` comes with what only a new training can be told."""
    given = [
        _AS_WRITTEN.get(name, f"--{name.replace('_', '-')}")
        for name, value in vars(args).items()
        if name not in _BESIDES_RESUME and value != parser.get_default(name)
    ]
    if given:
        raise UserError(
            f"--resume takes everything from the folder, so leave out {', '.join(given)}. To train "
            "something else, start it anew without --resume."
        )


def need_recipe(args: argparse.Namespace) -> None:
    """Raises UserError where neither a recipe nor a folder to resume is named."""
    if args.recipe is None:
        raise UserError("Name a recipe to train, or a folder to go on with: --resume DIR.")


def is_first() -> bool:
    """Whether this is the process that writes and speaks, of those that a launcher started."""
    return int(os.environ.get("RANK", "0")) == 0


def is_alone() -> bool:
    """Whether no other process was started beside this one."""
    return int(os.environ.get("WORLD_SIZE", "1")) <= 1


def with_all_processes(
    planned: Callable[[], Planned], trackers: Sequence[TrackerName]
) -> list[dict[str, Any]] | None:
    """Train what is planned; the results in the main process, None in the others beside it.

    planned: writes or reads the plan. The main process alone does it, and before anything slow is
    imported: from then on there is something to resume. A ``UserError`` of it ends all processes.
    """
    plan: Planned | UserError | None = None
    if is_first():
        try:
            plan = planned()
        except UserError as error:
            if is_alone():
                raise
            plan = error
    from dait.distributed import this_world
    from dait.events import ignore
    from dait.runs.sinks import TerminalSink

    world = this_world()
    try:
        study, task = _same(plan, world)
        with closing(TerminalSink()) as terminal:
            emit = terminal if world.is_main else ignore
            if task is None:
                from dait.study.train import train_study

                results = train_study(study, emit, trackers, world)
            else:
                from dait.study.train import run_task

                results = [run_task(study, task, emit, trackers, world)]
    finally:
        world.close()
    return results if world.is_main else None


def _same(plan: Planned | UserError | None, world: World) -> Planned:
    """The main process's plan, read by the others from the folder that they share."""
    from dait.distributed import on_main
    from dait.runs.folder import StudyFolder

    def folder_and_task() -> tuple[str, int | None]:
        if isinstance(plan, UserError):
            raise plan
        assert plan is not None
        return str(plan[0].folder.path.absolute()), plan[1]

    folder, task = on_main(world, folder_and_task)
    return plan if isinstance(plan, tuple) else (read_plan(StudyFolder(folder)), task)
