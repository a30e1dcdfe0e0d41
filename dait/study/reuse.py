"""An intermediate teacher (or classifier, or assistant) reused from an earlier run.

Several students under one intermediate teacher, or several settings of stage 2, need its training
once for each seed and not once for each student. It is reused only where that run trained the very
same network.
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
from dait.study.provenance import ROUNDED, differing, kept_provenance, runtime_differs

SHOWN = 5
"""Differences that a note names."""


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
    # "told" is part of digests that name folders of older sweeps.
    return depends | trained | {"told": dict(first.settings)}


def first_stage_key(recipe: Recipe, stages: Sequence[TrainingStage], seed: int) -> str | None:
    """Equal for two runs whose first stages have the same settings; None for an arm of one stage,
    which teaches nobody else."""
    settings = first_stage_settings(recipe, stages, seed)
    return None if settings is None else hashlib.sha256(to_json(settings).encode()).hexdigest()[:16]


def reuse_first_stage(
    context: StudyContext,
    stages: Sequence[TrainingStage],
    seed: int,
    folder: RunFolder,
    made_of: Mapping[str, Any],
    emit: Emit,
) -> None:
    """Copy the first stage's network into ``folder``, if a run of ``context.earlier`` trained it.

    made_of: the provenance that its network would have here. With the network come its projections
    and its rows of ``metrics.jsonl``; ``status.json`` says where it is from (``taken``). Otherwise
    the log says of every run with this seed what differs. Raises UserError where the disk is full,
    and where a path of ``context.earlier`` is gone.
    """
    wanted = first_stage_settings(context.recipe, stages, seed)
    title, role = stages[0].title, stages[0].role
    if wanted is None:
        return
    for run in (run for path in context.earlier for run in runs_in(path)):
        source = f"{run.path.parent.name}/{run.path.name}"
        try:
            settings = _settings_of(run)
            if settings is None or (settings["role"], settings["seed"]) != (role, seed):
                continue
            if not run.weights(role).exists():
                continue
            theirs = kept_provenance(run.weights(role))
            reasons = [*differences(wanted, settings), *differing(theirs, made_of)]
        except UserError as error:
            reasons, theirs = [str(error)], None
        if reasons:
            more = f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
            named = "; ".join(reasons[:SHOWN])
            emit(Note(f"the {title} of {source} is not reused: {named}{more}"))
            continue
        _copy(run, folder, role, title)
        folder.write_status(taken={role: source})
        write_atomically(folder.weights(role), run.weights(role).read_bytes())
        emit(Note(f"the {title} is reused from {source}, which trained the same one"))
        if changed := runtime_differs((theirs or {}).get("runtime") or {}, made_of["runtime"]):
            emit(Note(f"it was trained in another runtime ({changed}): {ROUNDED}"))
        return
    named = ", ".join(path.name for path in context.earlier)
    emit(Note(f"no run in {named} has trained this {title} with seed {seed}: trained here"))


def _copy(run: RunFolder, folder: RunFolder, role: str, title: str) -> None:
    """Metrics and projections of ``run``'s stage; the network itself comes last."""
    folder.drop_metrics(title, 1)
    for row in run.metrics():
        if row["stage"] == title:
            folder.append_metrics(row)
    if run.projections(role).exists():
        write_atomically(folder.projections(role), run.projections(role).read_bytes())


def _settings_of(run: RunFolder) -> dict[str, Any] | None:
    """``first_stage_settings`` of a run that is there; None if it says too little to compare."""
    config = run.config()
    arm, seed = config.pop("arm", None), config.pop("seed", None)
    if arm not in ARMS or not isinstance(seed, int):
        return None
    recipe = parse_recipe(config, str(run.path / "config.yaml"))
    return first_stage_settings(recipe, plan_of(arm).stages(recipe), seed)
