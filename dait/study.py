"""A study: several arms and seeds of one recipe, one after the other, in one folder."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from dait.config.arms import Arm
from dait.errors import Stopped, UserError
from dait.events import Emit, Note
from dait.models.cost import count_parameters
from dait.pipeline import run_arm, stage_plan
from dait.recipe import Recipe
from dait.runs import RunFolder, StudyFolder, write_atomically
from dait.sinks import RunSink, StudySink, fan_out
from dait.workbench import Workbench, left_out, open_data, prepare


def run_study(
    recipe: Recipe, arms: Sequence[Arm], seeds: Sequence[int], out: Path, emit: Emit
) -> list[dict[str, Any]]:
    """Run every arm for every seed into ``out`` and return their results, in that order.

    The study's and each run's ``status.json`` end in ``finished``, ``failed`` or ``stopped``.
    Raises UserError for what a user can mend, and passes on ``Stopped`` and any other exception,
    after they are written down.
    """
    if not arms or not seeds:
        raise UserError("A study needs at least one arm and one seed.")
    folder = StudyFolder(out)
    folder.create({"name": recipe.name, "arms": list(arms), "seeds": list(seeds)})
    folder.claim(state="preparing", message="Getting ready", progress=0.0)
    try:
        results = _run_all(recipe, arms, seeds, folder, emit)
    except BaseException as error:
        _write_end(folder, error)
        raise
    folder.write_status(
        state="finished", progress=1.0, eta_seconds=0.0, message=f"{len(results)} runs finished"
    )
    return results


def _run_all(
    recipe: Recipe, arms: Sequence[Arm], seeds: Sequence[int], folder: StudyFolder, emit: Emit
) -> list[dict[str, Any]]:
    plan = [(arm, seed) for seed in seeds for arm in arms]
    described = {
        "name": recipe.name,
        "recipe": recipe.model_dump(),
        "arms": list(arms),
        "seeds": list(seeds),
        "runs": [{"arm": arm, "seed": seed, "dir": f"{arm}-s{seed}"} for arm, seed in plan],
    }
    folder.write_description(described)
    early = StudySink(folder, [])
    data = open_data(recipe, fan_out(early, emit))
    train_images = data.counts()["train"]
    sink = StudySink(folder, [stage_plan(recipe, arm, train_images) for arm, _ in plan])
    listen = fan_out(sink, emit)
    bench = prepare(recipe, listen)
    folder.write_description(described | _facts(bench))
    for line in left_out(bench.data):
        folder.log(line)
    _write_teacher(folder, bench)
    results = []
    for index, (arm, seed) in enumerate(plan):
        sink.begin_run(index, arm, seed)
        results.append(_run_one(bench, arm, seed, folder.run(arm, seed), listen))
        folder.log(f"{arm}, seed {seed}: test top-1 {results[-1]['top1']:.1%}")
    folder.write_status(state="evaluating")
    listen(Note("placing the test images on a plane"))
    try:
        _write_plane(folder, listen)
    except UserError as error:
        # The runs are finished all the same, and whoever looks at the map may compute it again.
        folder.log(f"no t-SNE map: {error}")
        emit(Note(f"no t-SNE map: {error}"))
    return results


def _run_one(
    bench: Workbench, arm: Arm, seed: int, folder: RunFolder, emit: Emit
) -> dict[str, Any]:
    plan = stage_plan(bench.recipe, arm, len(bench.data.split("train")))
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.claim(state="preparing", arm=arm, seed=seed, message="Building the networks")
    try:
        result = run_arm(bench, arm, seed, folder, fan_out(RunSink(folder, plan), emit))
    except BaseException as error:
        _write_end(folder, error)
        raise
    top1 = f"test top-1 {result['top1']:.1%}"
    folder.write_status(state="finished", progress=1.0, eta_seconds=0.0, message=top1)
    folder.log(f"finished: {top1}")
    emit(Note(f"{arm}, seed {seed}: {top1}"))
    return result


def _write_end(folder: StudyFolder | RunFolder, error: BaseException) -> None:
    try:
        _describe_end(folder, error)
    except UserError as unwritable:
        # The disk is full, say: what went wrong first is what the user has to read.
        logging.getLogger(__name__).error("%s", unwritable)


def _describe_end(folder: StudyFolder | RunFolder, error: BaseException) -> None:
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        folder.write_status(state="stopped", message="Stopped on request")
        folder.log("stopped on request")
        return
    if isinstance(error, UserError):
        message = str(error)
        folder.log(f"failed: {message}")
    else:
        message = f"Something unexpected went wrong ({type(error).__name__}: {error})."
        folder.log(f"failed: {message}\n{''.join(traceback.format_exception(error))}")
    folder.write_status(state="failed", message=message)


def _facts(bench: Workbench) -> dict[str, Any]:
    return {
        "classes": [
            {"key": info.key, "name": info.name, "group": info.group} for info in bench.data.classes
        ],
        "data": {
            "name": bench.data.name,
            "fingerprint": bench.data.fingerprint,
            "counts": bench.data.counts(),
            "problems": [
                {"file": problem.file, "reason": problem.reason} for problem in bench.data.problems
            ],
        },
        "teacher": {
            "name": bench.teacher.name,
            "reads_text": bench.teacher.reads_text,
            "weights_hash": bench.teacher.weights_hash,
            **_size(bench),
            "zero_shot_top1": bench.zero_shot["top1"],
            "zero_shot_top5": bench.zero_shot["top5"],
            "zero_shot_interval": bench.zero_shot["top1_interval"],
        },
    }


def _size(bench: Workbench) -> dict[str, int]:
    teacher = bench.teacher
    return {"parameters": count_parameters(teacher)} if isinstance(teacher, nn.Module) else {}


def _write_teacher(folder: StudyFolder, bench: Workbench) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        prototypes=bench.prototypes.vectors.numpy(),
        logit_scale=np.float32(bench.prototypes.logit_scale),
        embeddings=bench.embeddings.numpy().astype(np.float16),
    )
    write_atomically(folder.path / "teacher.npz", buffer.getvalue())


def _write_plane(folder: StudyFolder, emit: Emit) -> None:
    from dait.evidence.comparison import write_tsne

    write_tsne(folder, emit)
