"""A network between, taken from an earlier run that trained the very same one.

Several students under one intermediate teacher, or several settings of stage 2, need its training
once for each seed and not once for each student.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from dait.arms.catalogue import plan_of
from dait.arms.plan import TrainingStage
from dait.config.arms import ARMS
from dait.config.recipe import Recipe, parse_recipe
from dait.errors import UserError
from dait.events import Emit, Note
from dait.runs.data import runs_in
from dait.runs.folder import RunFolder, to_json
from dait.storage.files import write_atomically
from dait.study.context import StudyContext
from dait.study.plan import differences
from dait.study.provenance import differing, kept_provenance, runtime_differs

SHOWN = 5
"""Differences that are named."""


def first_stage_settings(
    recipe: Recipe, stages: Sequence[TrainingStage], seed: int
) -> dict[str, Any] | None:
    """The settings that decide what the first stage trains, or None for an arm of one stage.

    Places are left out: what lies there is compared itself (``dait.study.provenance``).
    """
    if len(stages) < 2:
        return None
    depends = recipe.model_dump(include={"data", "teacher", "views", "train"})
    del depends["train"]["epochs"], depends["views"]["cache"], depends["data"]["source"]
    first = stages[0]
    network = first.network.model_dump(exclude={"weights"})
    trained = {"role": first.role, "network": network, "epochs": first.epochs, "seed": seed}
    return depends | trained | {"told": dict(first.settings)}


def first_stage_key(recipe: Recipe, stages: Sequence[TrainingStage], seed: int) -> str | None:
    """Equal for two runs whose first stages have the same settings; None for an arm of one stage,
    which teaches nobody else."""
    settings = first_stage_settings(recipe, stages, seed)
    return None if settings is None else hashlib.sha256(to_json(settings).encode()).hexdigest()[:16]


def take_over(
    context: StudyContext,
    stages: Sequence[TrainingStage],
    seed: int,
    folder: RunFolder,
    now: Mapping[str, Any],
    emit: Emit,
) -> None:
    """Copy what the first stage would train into ``folder``, if one of ``context.earlier`` has it.

    now: the provenance that its network would have here. With the network come its projections and
    its rows of ``metrics.jsonl``; ``status.json`` tells where it is from (``taken``). Where nobody
    trained just this one, the log says of every run with this seed what differs. Raises UserError
    where the disk is full, and where a path of ``context.earlier`` is gone.
    """
    wanted = first_stage_settings(context.recipe, stages, seed)
    title, role = stages[0].title, stages[0].role
    if wanted is None:
        return
    for run in (run for path in context.earlier for run in runs_in(path)):
        source = f"{run.path.parent.name}/{run.path.name}"
        try:
            found = _settings_of(run)
            if found is None or (found["role"], found["seed"]) != (role, seed):
                continue
            if not run.weights(role).exists():
                continue
            was = kept_provenance(run.weights(role))
            reasons = [*differences(wanted, found), *differing(was, now)]
        except UserError as error:
            reasons, was = [str(error)], None
        if reasons:
            more = f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
            said = "; ".join(reasons[:SHOWN])
            emit(Note(f"the {title} of {source} is not reused: {said}{more}"))
            continue
        folder.drop_metrics(title, 1)
        for row in run.metrics():
            if row["stage"] == title:
                folder.append_metrics(row)
        if run.projections(role).exists():
            write_atomically(folder.projections(role), run.projections(role).read_bytes())
        folder.write_status(taken={role: source})
        write_atomically(folder.weights(role), run.weights(role).read_bytes())
        emit(Note(f"the {title} is taken from {source}, which trained it just so"))
        if elsewhere := runtime_differs((was or {}).get("runtime") or {}, now["runtime"]):
            emit(Note(f"it was trained otherwise than it would be here, {elsewhere}: {ROUNDED}"))
        return
    named = ", ".join(path.name for path in context.earlier)
    emit(Note(f"no run in {named} has trained this {title} with seed {seed}: trained here"))


ROUNDED = "sums are rounded in another order, so weights differ in their last digits"
"""What another number of threads or processes, or another device, does."""


def _settings_of(run: RunFolder) -> dict[str, Any] | None:
    """``first_stage_settings`` of a run that is there; None if it says too little to compare."""
    config = run.config()
    arm, seed = config.pop("arm", None), config.pop("seed", None)
    if arm not in ARMS or not isinstance(seed, int):
        return None
    recipe = parse_recipe(config, str(run.path / "config.yaml"))
    return first_stage_settings(recipe, plan_of(arm).stages(recipe), seed)
