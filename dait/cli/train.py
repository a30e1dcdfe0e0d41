"""``python -m dait train``: one arm, one seed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from dait.cli.options import Planned, add_recipe_options, chosen_recipe, new_folder
from dait.cli.resume import (
    add_moved_options,
    add_resume_option,
    add_reuse_option,
    add_tracker_option,
    keep_moved_data,
    need_recipe,
    refuse_other_options,
    with_all_processes,
)
from dait.cli.study import parse_seeds
from dait.config.arms import ARMS
from dait.runs.folder import to_json
from dait.runs.trackers import parse_trackers
from dait.storage.paths import study_folder
from dait.study.plan import StudyPlan, begin_study, find_run


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe ``train`` and its options."""
    parser.description = (
        "Train one arm of a recipe with one seed. The folder is a study of one run. "
        "Under `accelerate launch -m dait train ...` (or torchrun) all processes train it "
        "together."
    )
    add_recipe_options(parser, optional=True)
    parser.add_argument("--arm", choices=ARMS, default="dait", help="what to train (default: dait)")
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed (default: 0); see study --help"
    )
    add_reuse_option(parser)
    add_resume_option(parser, "a run, or of a study of one run")
    add_moved_options(parser, data=False)
    add_tracker_option(parser)
    parser.set_defaults(run=partial(run, parser))


def run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Train, and print the run's result."""
    if args.resume:
        refuse_other_options(parser, args)
    else:
        need_recipe(args)
    trackers = parse_trackers(args.tracker)
    folders: list[str] = []

    def planned() -> Planned:
        plan, task = _resumed(args) if args.resume else (_begun(args), None)
        folders.append(str(plan.run_folder(plan.runs[task or 0]).path))
        return plan, task

    results = with_all_processes(planned, trackers)
    if results is None:
        return 0
    result = results[0] | {"dir": folders[0]}
    if args.json:
        print(to_json(result))
    else:
        print(f"{result['dir']}: top-1 {result['top1']:.1%} on {result['n_test']} test images")
    return 0


def _begun(args: argparse.Namespace) -> StudyPlan:
    (seed,) = parse_seeds(str(args.seed))
    recipe = chosen_recipe(args)
    reuse = [study_folder(folder) for folder in args.reuse]
    return begin_study(recipe, [args.arm], [seed], new_folder(args, recipe), reuse=reuse)


def _resumed(args: argparse.Namespace) -> Planned:
    """A run alone is resumed as its study, which is finished with it."""
    folder = study_folder(args.resume)
    keep_moved_data(args, [folder])
    plan, task = find_run(folder)
    plan = replace(plan, accept_versions=args.accept_versions)
    return plan, None if len(plan.runs) == 1 else task
