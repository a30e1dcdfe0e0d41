"""``python -m dait study``: several arms and seeds of one recipe."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Any

from dait.cli.options import Planned, add_recipe_options, chosen_recipe, new_folder
from dait.cli.resume import (
    add_moved_options,
    add_resume_option,
    add_reuse_option,
    add_tracker_option,
    need_recipe,
    refuse_other_options,
    resumed_plan,
    with_all_processes,
)
from dait.cli.table import print_lines, table
from dait.config.arms import ARMS, DEFAULT_ARMS, Arm
from dait.errors import UserError
from dait.runs.folder import to_json
from dait.runs.trackers import parse_trackers
from dait.storage.paths import study_folder
from dait.study.plan import StudyPlan, begin_study

EXECUTORS = ("here", "ray")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``study`` and its options."""
    parser.description = (
        "Train every arm for every seed under one recipe. The study's folder holds a "
        "run folder for each; open it in the app's Compare tab, or with `explain` and `predict`. "
        "To train the runs apart, on a cluster say, see `study plan`, `study run` and "
        "`study finish`."
    )
    add_recipe_options(parser, optional=True)
    add_run_options(parser)
    add_reuse_option(parser)
    add_resume_option(parser, "a study")
    add_moved_options(parser, data=False)
    add_tracker_option(parser)
    parser.add_argument(
        "--executor",
        choices=EXECUTORS,
        default="here",
        help="where runs are trained: one after the other here, or as tasks of Ray (default: here)",
    )
    parser.add_argument(
        "--cpus-per-run",
        type=float,
        default=1.0,
        metavar="N",
        help="processors that a run reserves on Ray (default: 1)",
    )
    parser.set_defaults(run=partial(run, parser))


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--arms --seeds``."""
    parser.add_argument(
        "--arms",
        default=",".join(DEFAULT_ARMS),
        metavar="A,B",
        help=f"arms, separated by commas, out of {', '.join(ARMS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        default="0",
        metavar="N,M",
        help="random seeds, separated by commas (default: 0). The same seed gives the same weights "
        "only with the same number of threads (OMP_NUM_THREADS), device and libraries",
    )


def run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the study; the exit code is 0 only if every run finished."""
    if args.resume:
        refuse_other_options(parser, args)
    else:
        need_recipe(args)
    trackers = parse_trackers(args.tracker)
    plans: list[StudyPlan] = []

    def planned() -> Planned:
        plan = resumed_plan(args, study_folder(args.resume)) if args.resume else begun(args)
        plans.append(plan)
        return plan, None

    if args.executor == "ray":
        from dait.cli.execute import train_on_ray  # as in cli.resume

        results: list[dict[str, Any]] | None = train_on_ray(planned, args.cpus_per_run, trackers)
    else:
        results = with_all_processes(planned, trackers)
    if results is not None:
        show(plans[0], results, args.json)
    return 0


def begun(args: argparse.Namespace) -> StudyPlan:
    """The study that the command line describes, written to its new folder."""
    arms, seeds = parse_arms(args.arms), parse_seeds(args.seeds)
    recipe = chosen_recipe(args)
    reuse = [study_folder(folder) for folder in args.reuse]
    return begin_study(recipe, arms, seeds, new_folder(args, recipe), reuse=reuse)


def show(plan: StudyPlan, results: list[dict[str, Any]], as_json: bool) -> None:
    """Print what a finished study came to."""
    out = plan.folder.path
    rows = [row | {"dir": str(out / f"{row['arm']}-s{row['seed']}")} for row in results]
    if as_json:
        print(to_json({"study": str(out), "runs": rows}))
        return
    print(f"{out}: {len(rows)} runs finished")
    print_lines(table(map(_cells, rows), indent=2))


def _cells(row: Mapping[str, Any]) -> list[str]:
    low, high = row["top1_interval"]
    top1 = f"top-1 {row['top1']:.1%} ({low:.1%} to {high:.1%} on {row['n_test']} test images)"
    return [row["arm"], f"seed {row['seed']}", top1]


def parse_arms(text: str) -> list[Arm]:
    """``"direct,dait"`` → arms, in that order, each once. Raises UserError."""
    arms: list[Arm] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in ARMS:
            raise UserError(f"There is no arm called {name!r}. Known: {', '.join(ARMS)}.")
        arms += [arm for arm in ARMS if arm == name and arm not in arms]
    if not arms:
        raise UserError(f"Name at least one arm, out of {', '.join(ARMS)}.")
    return arms


def parse_seeds(text: str) -> list[int]:
    """``"0,1,2"`` → numbers, each once. Raises UserError."""
    try:
        seeds = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UserError(f"Seeds are whole numbers separated by commas, not {text!r}.") from None
    if not seeds or min(seeds) < 0 or max(seeds) > 2**31:
        raise UserError(f"Seeds are whole numbers from 0 to 2147483648; found {text!r}.")
    return list(dict.fromkeys(seeds))
