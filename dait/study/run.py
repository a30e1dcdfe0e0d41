"""One run of a study: begun, resumed, or read where it is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from dait.config.arms import Arm
from dait.config.recipe import Recipe, parse_recipe
from dait.data.pool import pool_size
from dait.distributed import ALONE, World, on_main
from dait.errors import UserError
from dait.evaluation.measure import measure_familiarity, measure_networks, runtime, versions
from dait.events import Emit, Note, ignore
from dait.runs.folder import RunFolder
from dait.runs.sinks import RunSink, fan_out
from dait.runs.trackers import TrackerName, tracked
from dait.storage.files import write_arrays
from dait.study.context import StudyContext
from dait.study.lock import locked_folder, write_failure
from dait.study.plan import PlannedRun, StudyPlan
from dait.study.provenance import ROUNDED, kept_provenance, runtime_differs
from dait.study.stage import Stages, stage_plan


def train_run(
    plan: StudyPlan,
    run: PlannedRun,
    prepared: Callable[[Emit], StudyContext],
    emit: Emit,
    trackers: Sequence[TrackerName] = (),
    world: World = ALONE,
    host: str | None = None,
) -> dict[str, Any]:
    """The run's ``result.json``: read if it is there, else trained, from its last checkpoint on.

    ``prepared`` gives the study's context, once the run is this process's. ``host`` is written down
    for runs that other machines show. Of several processes of one training (``world``) all call
    this, and only the main one writes. Its ``status.json`` ends in ``finished``, ``failed`` or
    ``stopped``. Raises UserError while another process trains it, and for what a user can mend;
    passes on any other exception, all after they are written down.
    """
    folder = plan.run_folder(run)
    with ExitStack() as held:

        def lock() -> dict[str, Any] | None:
            if (result := finished(folder)) is not None:
                return result
            held.enter_context(locked_folder(folder))
            folder.sweep()
            return folder.result()  # of the process that held it until now

        if (result := on_main(world, lock)) is not None:
            return result
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
        folder.start_work(state="preparing", message="Building the networks", **facts)
        try:
            context = prepared(fan_out(RunSink(folder, ()), emit))
            context = replace(context, earlier=plan.reuse)
            stages = stage_plan(context.recipe, run.arm, pool_size(context.data))
            listen = fan_out(RunSink(folder, stages), emit)
            for line in _differences(before, now, status.get("runtime") or {}, here):
                listen(Note(line))
            with tracked(trackers, plan.folder.path, plan.recipe, str(folder.path.name)) as follow:
                listen = fan_out(listen, follow)
                result = run_arm(context, run.arm, run.seed, folder, listen, plan.resumed, world)
                follow.result(result)
        except BaseException as error:
            write_failure(folder, error)
            raise
        _mark_finished(folder, result)
    emit(Note(f"{run}: test top-1 {result['top1']:.1%}"))
    return result


def run_arm(
    context: StudyContext,
    arm: Arm,
    seed: int,
    folder: RunFolder,
    emit: Emit,
    resume: bool = False,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train one arm with one seed into ``folder`` and return what ``result.json`` holds.

    ``context.measured`` is measured once, after all training. Every arm starts from the same
    student weights for a seed. resume: continue the run in ``folder``, if it holds one: a stage
    whose network is there is not repeated, an interrupted one is resumed from its last checkpoint,
    and on the CPU, with as many threads, the weights are those of an uninterrupted run. Of several
    processes of one training (``world``) all call this and see the same folder; the main one
    writes. Raises UserError when training cannot continue.
    """
    started = time.time()
    on_main(world, lambda: _open(folder, context.recipe, arm, seed, resume))
    networks, val_top1 = Stages(context, arm, seed, folder, emit, world).train()

    def measure() -> dict[str, Any]:
        folder.write_status(state="evaluating", message=f"Measuring the {context.measured} split")
        emit(Note(f"measuring the {context.measured} split"))
        figures = measure_networks(
            networks, context.data.split(context.measured), folder, context.data.fingerprint
        )
        if context.measured == "test":  # a trial on validation images is not used afterwards
            familiar = measure_familiarity(networks, context.data, folder)
            write_arrays(folder.familiarity, familiar)
        for role, network in figures["between"].items():
            network["val_top1"] = val_top1.get(role)
        result = {
            "arm": arm,
            "seed": seed,
            **figures,
            "val_top1": val_top1["student"],
            "teacher": {
                "name": context.teacher.name,
                "zero_shot_top1": context.zero_shot["top1"],
                "zero_shot_top5": context.zero_shot["top5"],
            },
            "taken": folder.status().get("taken", {}),
            "seconds": float(folder.status().get("seconds_before", 0)) + time.time() - started,
            "versions": versions(),
            "runtime": runtime(),
            "made_of": {role: kept_provenance(folder.weights(role)) for role in networks},
        }
        folder.write_result(result)
        return folder.result() or {}

    return on_main(world, measure)


def finished(folder: RunFolder) -> dict[str, Any] | None:
    """The result of a run that has one; its status says so too from now on.

    Raises UserError where another process is about to say so itself.
    """
    result = folder.result()
    if result is not None and folder.status().get("state") != "finished":
        with locked_folder(folder):  # interrupted between the two
            folder.sweep()
            _mark_finished(folder, result)
    return result


def _open(folder: RunFolder, recipe: Recipe, arm: Arm, seed: int, resume: bool) -> None:
    if not (resume and folder.begun):
        folder.create({**recipe.model_dump(), "arm": arm, "seed": seed})
        return
    config = folder.config()
    same = (config.pop("arm", None), config.pop("seed", None)) == (arm, seed)
    if not same or parse_recipe(config, str(folder.path / "config.yaml")) != recipe:
        raise UserError(
            f"{folder.path} holds a run of another recipe, arm or seed than its study's. Move it "
            "away, or start a new study."
        )


def _mark_finished(folder: RunFolder, result: dict[str, Any]) -> None:
    top1 = f"test top-1 {result['top1']:.1%}"
    folder.write_status(state="finished", progress=1.0, eta_seconds=0.0, message=top1)
    folder.log(f"finished: {top1}")


def _differences(
    before: dict[str, str], now: dict[str, str], ran_on: dict[str, Any], here: dict[str, Any]
) -> list[str]:
    """Sentences on what has changed since a resumed run began: libraries, threads, device."""
    lines = [
        f"{name} was {before[name]} when this run was begun and is {version} now: the rest may "
        "differ in the last digits"
        for name, version in now.items()
        if name in before and before[name] != version
    ]
    if changed := runtime_differs(ran_on, here):
        lines.append(f"the runtime has changed since this run was begun ({changed}): {ROUNDED}")
    return lines
