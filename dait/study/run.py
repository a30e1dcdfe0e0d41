"""One run of a study: begun, gone on with, or read where it is finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from dait.distributed import ALONE, World, on_main
from dait.evaluation.measure import runtime, versions
from dait.events import Emit, Note, ignore
from dait.runs.folder import RunFolder
from dait.runs.sinks import RunSink, fan_out
from dait.runs.trackers import TrackerName, tracked
from dait.study.claim import claimed
from dait.study.context import StudyContext
from dait.study.ending import write_end
from dait.study.pipeline import run_arm, stage_plan
from dait.study.plan import PlannedRun, StudyPlan
from dait.study.provenance import runtime_differs
from dait.study.reuse import ROUNDED


def train_run(
    plan: StudyPlan,
    run: PlannedRun,
    prepared: Callable[[Emit], StudyContext],
    emit: Emit,
    trackers: Sequence[TrackerName] = (),
    world: World = ALONE,
    host: str | None = None,
) -> dict[str, Any]:
    """The run's ``result.json``: read if it is there, else trained from where it was cut off.

    ``prepared`` gives the workbench, once the run is this process's. ``host`` is written down for
    runs that other machines look at. Of several processes of one training (``world``) all call
    this, and only the main one writes. Its ``status.json`` ends in ``finished``, ``failed`` or
    ``stopped``. Raises UserError while another process trains it, and for what a user can mend;
    passes on any other exception, all after they are written down.
    """
    folder = plan.run_folder(run)
    with ExitStack() as held:

        def claim() -> dict[str, Any] | None:
            if (kept := finished(folder)) is not None:
                return kept
            held.enter_context(claimed(folder))
            folder.sweep()
            return folder.result()  # of whoever held it until now

        if (kept := on_main(world, claim)) is not None:
            return kept
        if not world.is_main:
            context = replace(prepared(ignore), earlier=plan.reuse)
            return run_arm(context, run.arm, run.seed, folder, ignore, plan.resumed, world)
        status, now, here = folder.status(), versions(), runtime()
        before = status.get("versions") or {}
        facts: dict[str, Any] = {
            "arm": run.arm,
            "seed": run.seed,
            "versions": now,
            "runtime": here,
            "host": host,
        }
        if before and before != now:
            facts["versions_before"] = [*status.get("versions_before", ()), before]
        folder.claim(state="preparing", message="Building the networks", **facts)
        try:
            context = prepared(fan_out(RunSink(folder, ()), emit))
            context = replace(context, earlier=plan.reuse)
            stages = stage_plan(context.recipe, run.arm, len(context.data.split("train")))
            listen = fan_out(RunSink(folder, stages), emit)
            for line in (*_newer(before, now), *_elsewhere(status.get("runtime") or {}, here)):
                listen(Note(line))
            with tracked(trackers, plan.folder.path, plan.recipe, str(folder.path.name)) as follow:
                listen = fan_out(listen, follow)
                result = run_arm(context, run.arm, run.seed, folder, listen, plan.resumed, world)
                follow.result(result)
        except BaseException as error:
            write_end(folder, error)
            raise
        _settle(folder, result)
    emit(Note(f"{run}: test top-1 {result['top1']:.1%}"))
    return result


def finished(folder: RunFolder) -> dict[str, Any] | None:
    """The result of a run that has one; its status says so too from now on.

    Raises UserError where another process is about to say so itself.
    """
    result = folder.result()
    if result is not None and folder.status().get("state") != "finished":
        with claimed(folder):  # cut off between the two
            folder.sweep()
            _settle(folder, result)
    return result


def _settle(folder: RunFolder, result: dict[str, Any]) -> None:
    top1 = f"test top-1 {result['top1']:.1%}"
    folder.write_status(state="finished", progress=1.0, eta_seconds=0.0, message=top1)
    folder.log(f"finished: {top1}")


def _elsewhere(before: dict[str, Any], here: dict[str, Any]) -> list[str]:
    changed = runtime_differs(before, here)
    return [f"this run was begun otherwise, {changed}: {ROUNDED}"] if changed else []


def _newer(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [
        f"{name} was {before[name]} when this run was begun and is {version} now: the rest may "
        "differ in the last digits"
        for name, version in now.items()
        if name in before and before[name] != version
    ]
