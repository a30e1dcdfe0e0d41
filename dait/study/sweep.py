"""A sweep over settings on the validation split, with a line for every setting that was tried.

A search over settings finds something by luck, the more so the more it tries. So every setting is
written down, the test split is not read, and a setting that has its line is not run again.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from dait.arms.catalogue import plan_of
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.data.base import SplitName
from dait.errors import UserError
from dait.evaluation.measure import versions
from dait.events import Emit, EpochDone, Event, Note, StageStarted
from dait.runs.folder import RunFolder, StudyFolder, to_json
from dait.runs.sinks import describe, fan_out
from dait.runs.sweeps import LOG, read_sweep, sweep_title
from dait.storage.files import new_folder, write_atomically
from dait.study.context import StudyContext, prepare
from dait.study.lock import locked_folder, write_failure
from dait.study.provenance import code_digest, kept_provenance, provenance_digest
from dait.study.reuse import first_stage_key
from dait.study.run import run_arm

FIRST_STAGES = "between"
"""The folder of first stages that later settings reuse: one run folder for each."""

Setting = dict[str, Any]
"""Dotted keys of the recipe and their values; empty: the recipe as it is."""


def one_factor_at_a_time(varied: Mapping[str, Sequence[Any]]) -> list[Setting]:
    """The recipe as it is, then every value of every key by itself."""
    return [{}, *({key: value} for key, values in varied.items() for value in values)]


def grid(varied: Mapping[str, Sequence[Any]]) -> list[Setting]:
    """Every combination of values."""
    return [
        dict(zip(varied, values, strict=True)) for values in itertools.product(*varied.values())
    ]


def run_sweep(
    recipe: Recipe,
    settings: Sequence[Setting],
    arms: Sequence[Arm],
    seeds: Sequence[int],
    out: Path,
    emit: Emit,
    measured: SplitName = "val",
) -> list[dict[str, Any]]:
    """Train every arm with every seed under every setting; the rows of ``out/sweep.jsonl``.

    A row holds ``setting``, ``arm``, ``seed``, ``top1`` and ``intermediate_top1`` (fractions of the
    split ``measured``; a search over settings leaves that the validation split),
    ``intermediate_parameters`` (its head included; None for an arm without), ``slices`` and
    ``seconds``. Of the weights only those of first stages are
    kept, which are trained once for all settings that agree on them. Every setting is checked
    before the first is run. ``out/status.json`` says how far it is, as that of a study does. Raises
    UserError for a setting that is not possible, and where ``out`` holds a sweep of another recipe
    or another process runs it.
    """
    recipes = [recipe.changed(setting) for setting in settings]
    folder, varied = StudyFolder(out), _varied(settings)
    rows = _begin(out, recipe)
    with locked_folder(folder):
        folder.start_work(
            state="preparing",
            message="Getting ready",
            title=sweep_title(recipe.title or recipe.name, varied),
            arms=list(arms),
            seeds=list(seeds),
            vary=varied,
        )
        try:
            emit = fan_out(emit, _follow(folder))
            runs = [run for run in recipes for _ in itertools.product(arms, seeds)]
            _train(recipes, settings, arms, seeds, out, rows, emit, measured, len(runs))
        except BaseException as error:
            write_failure(folder, error)
            raise
        folder.write_status(state="finished", progress=1.0, eta_seconds=0.0, message="")
    return rows


def _train(
    recipes: Sequence[Recipe],
    settings: Sequence[Setting],
    arms: Sequence[Arm],
    seeds: Sequence[int],
    out: Path,
    rows: list[dict[str, Any]],
    emit: Emit,
    measured: SplitName,
    total: int,
) -> None:
    """Add the rows that are missing."""
    folder, started, done = StudyFolder(out), time.monotonic(), 0
    _note_other_versions(rows, emit)
    for number, (setting, changed) in enumerate(zip(settings, recipes, strict=True)):
        if changed in recipes[:number]:
            emit(Note(f"{setting}: the same recipe as one before, not run again"))
            total -= len(arms) * len(seeds)
            continue
        context: StudyContext | None = None
        for arm, seed in itertools.product(arms, seeds):
            if any(_is(row, setting, arm, seed) for row in rows):
                continue
            # Opened for the first run that is missing: data and teacher may differ by setting.
            context = context or prepare(changed, emit, measured)
            folder.write_status(state="training", arm=arm, seed=seed, run_count=total)
            rows.append(_run(replace(context, recipe=changed), setting, arm, seed, out, emit))
            lines = "".join(to_json(row) + "\n" for row in rows)
            write_atomically(out / LOG, lines)
            done += 1
            share = min(1.0, len(rows) / total)
            left = (time.monotonic() - started) / done * max(0, total - len(rows))
            folder.write_status(progress=share, eta_seconds=left, run_index=len(rows))


def _follow(folder: StudyFolder) -> Emit:
    """A sink for the log and for the sentence in ``status.json``."""

    def follow(event: Event) -> None:
        line = describe(event)
        if line is not None:
            folder.log(line)
            if isinstance(event, (Note, StageStarted, EpochDone)):
                folder.write_status(message=line)

    return follow


def _varied(settings: Sequence[Setting]) -> dict[str, list[Any]]:
    """Every key that is varied, and its values."""
    varied: dict[str, list[Any]] = {}
    for setting in settings:
        for key, value in setting.items():
            known = varied.setdefault(key, [])
            if value not in known:
                known.append(value)
    return varied


def _begin(out: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """The rows that are there already."""
    described = out / "recipe.yaml"
    if described.exists() and described.read_text(encoding="utf-8") != recipe.to_yaml():
        raise UserError(f"{out} holds a sweep of another recipe; choose another folder.")
    write_atomically(described, recipe.to_yaml())
    return read_sweep(out)


def _note_other_versions(rows: list[dict[str, Any]], emit: Emit) -> None:
    """Rows of other code or libraries stay, but they are not quite comparable with new ones."""
    now = {"code": code_digest(), "versions": versions()}
    others = [row for row in rows if any((row.get("made_of") or {}).get(k) != now[k] for k in now)]
    if others:
        emit(
            Note(
                f"{len(others)} of the {len(rows)} rows of {LOG} were measured by other code or "
                "library versions than those here, and are not measured again"
            )
        )


def _is(row: Mapping[str, Any], setting: Setting, arm: Arm, seed: int) -> bool:
    same = from_json(to_json(setting)) == row["setting"]
    return same and row["arm"] == arm and row["seed"] == seed


def _run(
    context: StudyContext, setting: Setting, arm: Arm, seed: int, out: Path, emit: Emit
) -> dict[str, Any]:
    folder = RunFolder(out / "run")
    if folder.begun:  # cut off before its row was written
        shutil.rmtree(folder.path)
    elif any(not path.name.startswith(".") for path in folder.path.glob("*")):
        raise UserError(
            f"{folder.path} holds something that is no run of this sweep. Move it away, or choose "
            "another folder."
        )
    # Not what a killed process left half written, whose name begins with a dot.
    earlier = tuple(sorted((out / FIRST_STAGES).glob("[!.]*")))
    result = run_arm(replace(context, earlier=earlier), arm, seed, folder, emit, resume=True)
    if not result["taken"]:
        _keep_first_stage(context.recipe, arm, seed, folder, out / FIRST_STAGES)
    shutil.rmtree(folder.path)
    taught: dict[str, Any] = next(iter(result["between"].values()), {})
    row = {
        "setting": setting,
        "arm": arm,
        "seed": seed,
        "top1": result["top1"],
        "intermediate_top1": taught.get("top1"),
        "intermediate_parameters": taught.get("parameters"),
        "slices": result.get("slices"),
        "seconds": result["seconds"],
        "made_of": result["made_of"]["student"],
    }
    said, split = setting or "as it is", "validation" if context.measured == "val" else "test"
    emit(Note(f"{arm}, seed {seed}, {said}: {split} top-1 {row['top1']:.1%}"))
    return row


def _keep_first_stage(recipe: Recipe, arm: Arm, seed: int, run: RunFolder, where: Path) -> None:
    """Move what a later setting may reuse of a run into a folder of its own."""
    stages = plan_of(arm).stages(recipe)
    key = first_stage_key(recipe, stages, seed)
    if key is None:
        return
    role = stages[0].role
    kept_in = where / f"{key}-{provenance_digest(kept_provenance(run.weights(role)))}"
    if kept_in.exists():
        return
    with new_folder(kept_in) as kept:
        for file in (run.weights(role), run.projections(role), run.path / "metrics.jsonl"):
            if file.exists():
                place = kept / file.relative_to(run.path)
                place.parent.mkdir(exist_ok=True)
                file.rename(place)
        (run.path / "config.yaml").rename(kept / "config.yaml")
