"""A study in one process: its runs one after the other, and what is made of all of them."""

from __future__ import annotations

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
from dait.runs.sinks import StudySink, fan_out
from dait.runs.trackers import TrackerName
from dait.study.claim import claimed, one_task_at_a_time
from dait.study.context import prepare
from dait.study.ending import write_end
from dait.study.facts import settle_facts
from dait.study.pipeline import stage_plan
from dait.study.plan import Resume, StudyPlan, begin_study
from dait.study.run import finished, train_run


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

    resume: go on with the study in ``out`` (True), with one if it is there (``auto``), or with the
    one at a path; nothing that is finished is repeated. Otherwise nothing is overwritten.
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
    several processes of one training (``world``) all call this; the main one writes and tells.
    Raises UserError for what a user can mend, such as another process that trains it, and passes
    on ``Stopped`` and any other exception, after they are written down.
    """
    folder = plan.folder
    with ExitStack() as held:

        def claim() -> list[int] | None:
            """The runs to train; None where the whole study is finished."""
            held.enter_context(claimed(folder))
            todo = plan.missing()
            if not todo and folder.status().get("state") == "finished":
                return None
            with one_task_at_a_time(folder.path):
                folder.sweep()
            return todo

        todo = on_main(world, claim)
        if todo is None:
            return [result for result in plan.results() if result is not None]
        if not world.is_main:
            return _take_part(plan, todo, world)
        new = {} if plan.resumed else {"progress": 0.0}
        folder.claim(state="preparing", message="Getting ready", **new)
        try:
            results = _train_missing(plan, todo, emit, trackers, world)
            complete_study(plan, emit)
        except BaseException as error:
            write_end(folder, error)
            raise
    return results


def complete_study(plan: StudyPlan, emit: Emit) -> None:
    """What a study has besides its runs: the t-SNE map, and the word that it is finished."""
    folder = plan.folder
    folder.write_status(state="evaluating")
    listen = fan_out(StudySink(folder, []), emit)
    listen(Note("placing the test images on a plane"))
    try:
        # Even where there is a map: it may be of networks that were trained anew since.
        write_tsne(folder, listen)
    except UserError as error:
        # The runs are finished all the same, and whoever looks at it may compute it again.
        folder.log(f"no t-SNE map: {error}")
        emit(Note(f"no t-SNE map: {error}"))
    for name in outdated(folder):
        (folder.path / name).unlink()
        folder.log(f"{name} is removed: it was measured of networks that were trained anew since")
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
    train_images = data.counts()["train"]
    stages = [stage_plan(plan.recipe, run.arm, train_images) for run in plan.runs]
    sink = StudySink(folder, stages)
    for index in results:
        sink.skip_run(index)
        emit(Note(f"{plan.runs[index]}: finished before"))
    listen = fan_out(sink, emit)
    context = prepare(plan.recipe, listen)
    settle_facts(folder, context, listen, plan.accept_versions)
    for index in todo:
        run = plan.runs[index]
        sink.begin_run(index, run.arm, run.seed)
        results[index] = train_run(plan, run, lambda _: context, listen, trackers, world)
        folder.log(f"{run}: test top-1 {results[index]['top1']:.1%}")
    return [results[index] for index in sorted(results)]


def _take_part(plan: StudyPlan, todo: Sequence[int], world: World) -> list[dict[str, Any]]:
    """What a process does that is not the main one: its share of every training."""
    if not todo:
        return []
    context = prepare(plan.recipe, ignore)
    runs = [plan.runs[index] for index in todo]
    return [train_run(plan, run, lambda _: context, ignore, world=world) for run in runs]
