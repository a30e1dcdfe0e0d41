"""A study trained: all of its runs in one process, or one at a time as numbered tasks.

Tasks are for the arrays of a batch system, or any scheduler. They share nothing but the study's
folder: they may run at the same time, in any order, on several machines that see it, and one that
was interrupted is started again.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.distributed import ALONE, World, on_main
from dait.errors import UserError
from dait.evaluation.features.projection import write_tsne
from dait.evaluation.results.outdated import outdated
from dait.events import Emit, Note, ignore
from dait.runs.data import open_data_of
from dait.runs.folder import WORKING_STATES
from dait.runs.sinks import StudySink, fan_out
from dait.runs.trackers import TrackerName
from dait.study.context import StudyContext, prepare
from dait.study.description import describe_or_check
from dait.study.lock import locked_folder, one_task_at_a_time, write_failure
from dait.study.plan import Resume, StudyPlan, begin_study
from dait.study.run import finished, train_run
from dait.study.stage import stage_plan


def run_study(
    recipe: Recipe,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    out: Path,
    emit: Emit,
    resume: Resume = False,
    trackers: Sequence[TrackerName] = (),
) -> list[dict[str, Any]]:
    """Run every arm for every seed into ``out`` and return their results, in that order.

    resume: continue the study in ``out`` (True), one if it is there (``auto``), or the one at a
    path; nothing that is finished is repeated. False: nothing is overwritten.
    Raises as ``begin_study`` and ``train_study`` do.
    """
    return train_study(begin_study(recipe, arms, seeds, out, resume), emit, trackers)


def train_study(
    plan: StudyPlan,
    emit: Emit,
    trackers: Sequence[TrackerName] = (),
    world: World = ALONE,
) -> list[dict[str, Any]]:
    """Train what is missing of a study, and return the results of all of its runs.

    The study's and each run's ``status.json`` end in ``finished``, ``failed`` or ``stopped``. Of
    several processes of one training (``world``) all call this; the main one writes.
    Raises UserError for what a user can mend, such as another process that trains it, and passes
    on ``Stopped`` and any other exception, after they are written down.
    """
    folder = plan.folder
    with ExitStack() as held:

        def lock() -> list[int] | None:
            """The runs to train; None where the whole study is finished."""
            held.enter_context(locked_folder(folder))
            todo = plan.missing()
            if not todo and folder.status().get("state") == "finished":
                return None
            with one_task_at_a_time(folder.path):
                folder.sweep()
            return todo

        todo = on_main(world, lock)
        if todo is None:
            return [result for result in plan.results() if result is not None]
        if not world.is_main:
            return _train_beside(plan, todo, world)
        new = {} if plan.resumed else {"progress": 0.0}
        folder.start_work(state="preparing", message="Getting ready", **new)
        try:
            results = _train_missing(plan, todo, emit, trackers, world)
            complete_study(plan, emit)
        except BaseException as error:
            write_failure(folder, error)
            raise
    return results


def run_task(
    plan: StudyPlan,
    task: int,
    emit: Emit,
    trackers: Sequence[TrackerName] = (),
    world: World = ALONE,
) -> dict[str, Any]:
    """Train run number ``task`` of the plan, or read its result; the last one completes the study.

    Of several processes of one training (``world``) all call this. Raises UserError when there is
    no such run, when another process trains it, and for what a user can mend.
    """
    if not 0 <= task < len(plan.runs):
        raise UserError(
            f"{plan.folder.path} has no task {task}: its tasks are 0 to {len(plan.runs) - 1}."
        )
    run = plan.runs[task]
    result = on_main(world, lambda: finished(plan.run_folder(run)))
    if result is not None:
        emit(Note(f"{run}: finished before"))
    else:

        def prepared(listen: Emit) -> StudyContext:
            # First, because its error says how to name the new place of images that have moved.
            open_data_of(plan.folder.path, plan.recipe, listen)
            context = prepare(plan.recipe, listen)
            if world.is_main:
                with one_task_at_a_time(plan.folder.path):
                    describe_or_check(plan.folder, context, listen, plan.accept_versions)
            return context

        host = platform.node()
        result = train_run(plan, run, prepared, emit, trackers, world, host)
    if world.is_main:
        _complete_if_last(plan, emit)
    return result


def finish_study(plan: StudyPlan, emit: Emit) -> list[dict[str, Any]]:
    """Complete a study whose runs are all finished, and return their results.

    Raises UserError while runs are missing, with their tasks.
    """
    missing = plan.missing()
    if missing:
        named = ", ".join(f"{task} ({plan.runs[task]})" for task in missing)
        raise UserError(
            f"{plan.folder.path} is not finished: {len(missing)} of {len(plan.runs)} runs have no "
            f"result. Their tasks: {named}."
        )
    _complete_if_last(plan, emit)
    return [result for result in plan.results() if result is not None]


def _complete_if_last(plan: StudyPlan, emit: Emit) -> None:
    """Write how many tasks are done, and complete the study if this was the last."""
    folder = plan.folder
    with one_task_at_a_time(folder.path):
        state = folder.status().get("state")
        if state == "finished" or (state in WORKING_STATES and folder.state() == state):
            return  # all is done, or the process that trains the whole study completes it
        done, count = len(plan.runs) - len(plan.missing()), len(plan.runs)
        folder.write_status(
            state="queued",
            tasks=True,
            pid=None,
            run_count=count,
            progress=done / count,
            message=f"{done} of {count} runs finished",
        )
        if done < count:
            return
        with locked_folder(folder):
            folder.start_work(host=platform.node())
            try:
                complete_study(plan, emit)
            except BaseException as error:
                write_failure(folder, error)
                raise


def complete_study(plan: StudyPlan, emit: Emit) -> None:
    """Make what a study has besides its runs, the t-SNE map, and mark it as finished."""
    folder = plan.folder
    folder.write_status(state="evaluating")
    listen = fan_out(StudySink(folder, []), emit)
    listen(Note("computing the t-SNE map of the test images"))
    try:
        # Even where there is a map: its networks may have been trained again since.
        write_tsne(folder, listen)
    except UserError as error:
        # The runs are finished all the same, and the map can be computed later.
        folder.log(f"no t-SNE map: {error}")
        emit(Note(f"no t-SNE map: {error}"))
    for name in outdated(folder):
        (folder.path / name).unlink()
        folder.log(f"{name} is removed: its networks were trained again since")
    folder.write_status(
        state="finished",
        progress=1.0,
        eta_seconds=0.0,
        message=f"{len(plan.runs)} runs finished",
    )


def _train_missing(
    plan: StudyPlan,
    todo: Sequence[int],
    emit: Emit,
    trackers: Sequence[TrackerName],
    world: World,
) -> list[dict[str, Any]]:
    folder = plan.folder
    kept = {index: finished(plan.run_folder(run)) for index, run in enumerate(plan.runs)}
    results = {index: result for index, result in kept.items() if result is not None}
    if not todo:
        return [results[index] for index in sorted(results)]
    data = open_data_of(folder.path, plan.recipe, fan_out(StudySink(folder, []), emit))
    counts = data.counts()
    train_images = counts["train"] + counts.get("unlabelled", 0)
    stages = [stage_plan(plan.recipe, run.arm, train_images) for run in plan.runs]
    sink = StudySink(folder, stages)
    for index in results:
        sink.skip_run(index)
        emit(Note(f"{plan.runs[index]}: finished before"))
    listen = fan_out(sink, emit)
    context = prepare(plan.recipe, listen)
    describe_or_check(folder, context, listen, plan.accept_versions)
    for index in todo:
        run = plan.runs[index]
        sink.begin_run(index, run.arm, run.seed)
        results[index] = train_run(plan, run, lambda _: context, listen, trackers, world)
        folder.log(f"{run}: test top-1 {results[index]['top1']:.1%}")
    return [results[index] for index in sorted(results)]


def _train_beside(plan: StudyPlan, todo: Sequence[int], world: World) -> list[dict[str, Any]]:
    """Train as a process that is not the main one."""
    if not todo:
        return []
    context = prepare(plan.recipe, ignore)
    runs = [plan.runs[index] for index in todo]
    return [train_run(plan, run, lambda _: context, ignore, world=world) for run in runs]
