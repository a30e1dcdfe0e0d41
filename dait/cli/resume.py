"""What ``train`` and ``study`` share besides a recipe: resuming, trackers, several processes.

Together with the modules of these commands it imports nothing heavy. ``cli.execute``, which does,
is imported by the functions that need it: then the plan is written already.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dait.cli.options import Planned
from dait.errors import UserError
from dait.runs.folder import StudyFolder
from dait.runs.trackers import TRACKERS, TrackerName
from dait.study.plan import StudyPlan, read_plan

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
        help=f"resume what was cut off: the folder of {what}, or its name in the runs folder; "
        "everything else is read from it. On a CPU, with as many threads as before, it ends with "
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
        help="resume although other versions of libraries read the images than when the study "
        "began (the weights are then not the same bit for bit)",
    )


def keep_moved_data(args: argparse.Namespace, folders: Sequence[Path]) -> None:
    """Keep ``--data`` with the studies of ``folders``. Raises UserError for other images."""
    if args.data is None:
        return
    from dait.cli.execute import move

    move(folders, args.data, args.accept_versions)


def resumed_plan(args: argparse.Namespace, folder: Path) -> StudyPlan:
    """The plan of the study in ``folder``, with its images where ``--data`` says they are."""
    keep_moved_data(args, [folder])
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
        help=f"also log to a tracker: {', '.join(TRACKERS)} (may be repeated)",
    )


def refuse_other_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Raises UserError where ``--resume`` comes with options of a new training."""
    given = [
        _AS_WRITTEN.get(name, f"--{name.replace('_', '-')}")
        for name, value in vars(args).items()
        if name not in _BESIDES_RESUME and value != parser.get_default(name)
    ]
    if given:
        raise UserError(
            f"--resume takes everything from the folder, so leave out {', '.join(given)}. To train "
            "something else, start it again without --resume."
        )


def need_recipe(args: argparse.Namespace) -> None:
    """Raises UserError where neither a recipe nor a folder to resume is named."""
    if args.recipe is None:
        raise UserError("Name a recipe to train, or a folder to resume: --resume DIR.")


def is_first() -> bool:
    """Whether this is the process that writes and prints, of those that a launcher started."""
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
    from dait.cli.execute import train_together

    return train_together(plan, trackers)
