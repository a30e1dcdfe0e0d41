"""``python -m dait study plan``, ``run`` and ``finish``: the runs of a study trained apart."""

from __future__ import annotations

import argparse
import os

from dait.cli.options import Planned, add_recipe_options
from dait.cli.resume import (
    add_moved_options,
    add_reuse_option,
    add_tracker_option,
    resumed_plan,
    with_all_processes,
)
from dait.cli.study import add_run_options, begun, show
from dait.errors import UserError
from dait.runs.folder import StudyFolder, to_json
from dait.runs.trackers import parse_trackers
from dait.storage.files import write_atomically
from dait.storage.paths import PROJECT, study_folder
from dait.study.plan import read_plan
from dait.study.slurm import FILE, array_script


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``study plan`` and its options."""
    parser.description = (
        "Write a study's folder with all of its runs, numbered from 0, and train "
        "nothing. `study run DIR --task i` trains one of them, on any machine that sees the "
        "folder; the last one completes the study."
    )
    add_recipe_options(parser)
    add_run_options(parser)
    add_reuse_option(parser)
    parser.add_argument(
        "--slurm", action="store_true", help=f"write {FILE} too, for an array of SLURM tasks"
    )
    parser.set_defaults(run=run_plan)


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``study run`` and its options."""
    parser.description = (
        "Train one run of a planned study. One that is finished is skipped, one that "
        "was cut off is resumed, one that another process trains is refused."
    )
    parser.add_argument("study", type=study_folder, metavar="DIR", help="the study's folder")
    parser.add_argument(
        "--task",
        type=int,
        metavar="I",
        help="its number, from 0 (default: what SLURM_ARRAY_TASK_ID says)",
    )
    add_moved_options(parser)
    add_tracker_option(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_task)


def add_finish_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``study finish`` and its options."""
    parser.description = (
        "Complete a study whose runs are all finished, if the last of them could not."
    )
    parser.add_argument("study", type=study_folder, metavar="DIR", help="the study's folder")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=run_finish)


def run_plan(args: argparse.Namespace) -> int:
    """Write the study's folder, and say how its tasks are trained."""
    plan = begun(args)
    count, where = len(plan.runs), plan.folder.path
    waiting = f"{count} runs wait to be trained"
    plan.folder.write_status(state="queued", tasks=True, progress=0.0, message=waiting)
    if args.slurm:
        write_atomically(where / FILE, array_script(plan, PROJECT))
    if args.json:
        rows = [
            {"task": task, "arm": run.arm, "seed": run.seed, "dir": str(plan.run_folder(run).path)}
            for task, run in enumerate(plan.runs)
        ]
        print(to_json({"study": str(where), "tasks": rows}))
        return 0
    print(f"{where}: {count} tasks")
    for task, run in enumerate(plan.runs):
        print(f"  {task}  {run}")
    print(f"Train each with `python -m dait study run {where} --task I`, in any order.")
    if args.slurm:
        print(f"On SLURM: `sbatch {where / FILE}`")
    return 0


def run_task(args: argparse.Namespace) -> int:
    """Train one task, and print its result."""
    trackers = parse_trackers(args.tracker)
    task = _task(args)

    def planned() -> Planned:
        return resumed_plan(args, args.study), task

    results = with_all_processes(planned, trackers)
    if results is None:
        return 0
    (result,) = results
    where = str(args.study / f"{result['arm']}-s{result['seed']}")
    if args.json:
        print(to_json(result | {"task": task, "dir": where}))
    else:
        print(f"{where}: top-1 {result['top1']:.1%} on {result['n_test']} test images")
    return 0


def run_finish(args: argparse.Namespace) -> int:
    """Complete the study, and print what it came to."""
    plan = read_plan(StudyFolder(args.study))
    from dait.cli.execute import finish  # as in cli.resume

    show(plan, finish(plan), args.json)
    return 0


def _task(args: argparse.Namespace) -> int:
    if args.task is not None:
        return int(args.task)
    found = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    if not found.isdecimal():
        raise UserError("Say which task: --task I, numbered from 0 as `study plan` showed them.")
    return int(found)
