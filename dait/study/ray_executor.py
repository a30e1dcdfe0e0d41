"""The tasks of a study on a Ray cluster, or on the processors of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from dait.errors import UserError
from dait.events import Emit, Note, ignore
from dait.runs.folder import StudyFolder
from dait.runs.trackers import TrackerName
from dait.study.plan import StudyPlan, read_plan
from dait.study.train import finish_study, run_task

SECONDS_BETWEEN_LOOKS = 1.0
STARTS = 4
"""Tries to start Ray, which gives itself half a minute each time: too little on a busy machine."""


def need_ray() -> None:
    """Raises UserError where Ray is not installed."""
    if find_spec("ray") is None:
        raise UserError("The executor ray needs the package ray: pip install 'ray>=2.9'")


def train_with_ray(
    plan: StudyPlan,
    emit: Emit,
    cpus_per_run: float = 1.0,
    trackers: Sequence[TrackerName] = (),
) -> list[dict[str, Any]]:
    """Train what is missing of a study as Ray tasks and return the results of all of its runs.

    Each task reserves ``cpus_per_run`` processors, and a GPU where the cluster has some. The
    cluster is that of RAY_ADDRESS, whose machines must see the study's folder; without it, one is
    started here for as long as this takes. A run that fails does not keep the others from ending.
    Raises UserError without Ray, and when runs failed, with their reasons.
    """
    need_ray()
    # A program that was not asked to tells nobody that it is used.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    missing = plan.missing()
    _start(ray)
    try:
        check_room(ray.cluster_resources(), cpus_per_run)
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
        remote = ray.remote(num_cpus=cpus_per_run, num_gpus=gpus, max_retries=0)(_train_here)
        folder = str(plan.folder.path.absolute())
        waiting = {
            remote.remote(folder, task, tuple(trackers), plan.accept_versions): task
            for task in missing
        }
        failed = _wait_for(ray, waiting, plan, emit)
    finally:
        ray.shutdown()
    if failed:
        raise UserError(
            f"{len(failed)} of {len(plan.runs)} runs failed:\n  "
            + "\n  ".join(failed)
            + f"\nResume them with `python -m dait study --resume {plan.folder.path}`."
        )
    return finish_study(plan, emit)


def check_room(resources: Mapping[str, float], cpus_per_run: float) -> None:
    """Raises UserError where a cluster with these ``resources`` could never start a run."""
    here = resources.get("CPU", 0.0)
    if cpus_per_run <= 0 or cpus_per_run > here:
        raise UserError(
            f"Each run wants {cpus_per_run:g} processors, and the cluster has {here:g}: choose "
            f"--cpus-per-run from above 0 to {here:g}."
        )


def _start(ray: Any) -> None:
    # Only a local cluster is started without a dashboard; an existing one is left as it is.
    own = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
    for tries in range(1, STARTS + 1):
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", **own)
            return
        except Exception as error:  # ray raises bare ones
            ray.shutdown()
            if tries == STARTS:
                raise UserError(
                    f"Ray could not be started or reached ({error}). Try again when the machine is "
                    "less busy, check RAY_ADDRESS, or leave out --executor ray."
                ) from error


def _train_here(
    folder: str, task: int, trackers: tuple[TrackerName, ...], accept_versions: bool
) -> str | None:
    """In a Ray worker: train one run. Returns the sentence of a ``UserError``, which Ray would
    wrap into another exception."""
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    try:
        plan = replace(read_plan(StudyFolder(Path(folder))), accept_versions=accept_versions)
        run_task(plan, task, ignore, trackers)
    except UserError as error:
        return str(error)
    return None


def _wait_for(ray: Any, waiting: dict[Any, int], plan: StudyPlan, emit: Emit) -> list[str]:
    failed = []
    while waiting:
        done, _ = ray.wait(list(waiting), timeout=SECONDS_BETWEEN_LOOKS)
        for reference in done:
            task = waiting.pop(reference)
            run = plan.runs[task]
            try:
                reason = ray.get(reference)
            except ray.exceptions.RayError as error:
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
            if reason is None:
                top1 = (plan.run_folder(run).result() or {})["top1"]
                emit(Note(f"{run}: test top-1 {top1:.1%}"))
            else:
                failed.append(f"task {task} ({run}): {reason}")
                emit(Note(f"{run} failed: {reason}"))
    return failed
