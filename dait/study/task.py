"""One run of a planned study at a time: for the arrays of a batch system, or any scheduler.

Tasks share nothing but the study's folder. They may run at the same time, in any order, on several
machines that see the folder; one that was cut off is given again.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from dait.distributed import ALONE, World, on_main
from dait.errors import UserError
from dait.events import Emit, Note
from dait.runs.data import open_data_of
from dait.runs.folder import WORKING_STATES
from dait.runs.trackers import TrackerName
from dait.study.claim import claimed, one_task_at_a_time
from dait.study.context import StudyContext, prepare
from dait.study.ending import write_end
from dait.study.facts import settle_facts
from dait.study.plan import StudyPlan
from dait.study.run import finished, train_run
from dait.study.train import complete_study


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
            open_data_of(plan.folder.path, plan.recipe, listen)  # says how to find what has moved
            context = prepare(plan.recipe, listen)
            if world.is_main:
                with one_task_at_a_time(plan.folder.path):
                    settle_facts(plan.folder, context, listen, plan.accept_versions)
            return context

        host = platform.node()
        result = train_run(plan, run, prepared, emit, trackers, world, host)
    if world.is_main:
        _look_round(plan, emit)
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
    _look_round(plan, emit)
    return [result for result in plan.results() if result is not None]


def _look_round(plan: StudyPlan, emit: Emit) -> None:
    """Say how far the tasks have come, and complete the study if this was the last."""
    folder = plan.folder
    with one_task_at_a_time(folder.path):
        state = folder.status().get("state")
        if state == "finished" or (state in WORKING_STATES and folder.state() == state):
            return  # all is done, or a process that trains the whole study will see to it
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
        with claimed(folder):
            folder.claim(host=platform.node())
            try:
                complete_study(plan, emit)
            except BaseException as error:
                write_end(folder, error)
                raise
