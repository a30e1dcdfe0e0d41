"""A network between, taken from an earlier run that trained the very same one.

Several students under one intermediate teacher, or several settings of stage 2, need its training
once for each seed and not once for each student.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from dait.arms.catalogue import plan_of
from dait.arms.plan import TrainingStage
from dait.config.arms import ARMS
from dait.events import Emit, Note
from dait.files import write_atomically
from dait.recipe import Recipe, parse_recipe
from dait.runs import RunFolder, to_json
from dait.study.plan import runs_in


def first_stage_key(recipe: Recipe, stages: Sequence[TrainingStage], seed: int) -> str | None:
    """Equal for two runs exactly if the first stage of both trains a network to the same weights.

    None for an arm of one stage, which teaches nobody else. A file of weights to start from is
    known by its name alone.
    """
    if len(stages) < 2:
        return None
    depends = recipe.model_dump(include={"data", "teacher", "views", "train"})
    del depends["train"]["epochs"], depends["views"]["cache"]
    first = stages[0]
    told = [first.role, first.network.model_dump(), first.epochs, dict(first.told), seed]
    return hashlib.sha256(to_json([depends, told]).encode()).hexdigest()[:16]


def take_over(
    earlier: Sequence[Path],
    recipe: Recipe,
    stages: Sequence[TrainingStage],
    seed: int,
    folder: RunFolder,
    emit: Emit,
) -> None:
    """Copy what the first stage would train into ``folder``, if a run of ``earlier`` has it.

    With the network come its projections and its rows of ``metrics.jsonl``; ``status.json`` tells
    where it is from (``taken``). Nothing happens where the network is there already, and where
    nobody trained just this one, which is said. Raises UserError where the disk is full, and where
    a path of ``earlier`` is gone.
    """
    key = first_stage_key(recipe, stages, seed)
    if not earlier or key is None or folder.weights(stages[0].role).exists():
        return
    title, role = stages[0].title, stages[0].role
    for run in (run for path in earlier for run in runs_in(path)):
        if not run.weights(role).exists() or _key_of(run) != key:
            continue
        folder.drop_metrics(title, 1)
        for row in run.metrics():
            if row["stage"] == title:
                folder.append_metrics(row)
        if run.projections(role).exists():
            write_atomically(folder.projections(role), run.projections(role).read_bytes())
        source = f"{run.path.parent.name}/{run.path.name}"
        folder.write_status(taken={role: source})
        write_atomically(folder.weights(role), run.weights(role).read_bytes())
        emit(Note(f"the {title} is taken from {source}, which trained it just so"))
        return
    named = ", ".join(path.name for path in earlier)
    emit(Note(f"no run in {named} has trained this {title} with seed {seed}: trained here"))


def _key_of(run: RunFolder) -> str | None:
    """As ``first_stage_key`` of a run that is there; None if it says too little to compare."""
    config = run.config()
    arm, seed = config.pop("arm", None), config.pop("seed", None)
    if arm not in ARMS or not isinstance(seed, int):
        return None
    recipe = parse_recipe(config, str(run.path / "config.yaml"))
    return first_stage_key(recipe, plan_of(arm).stages(recipe), seed)
