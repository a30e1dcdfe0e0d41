"""Settings tried on the validation split, one line each, so that none is forgotten.

A search over settings finds something by luck, the more so the more it tries. Here every one that
was tried is written down, the test split is not read, and a setting that is there is not run again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dait.config.arms import Arm
from dait.errors import UserError
from dait.events import Emit, Note
from dait.files import write_atomically
from dait.recipe import Recipe
from dait.runs import RunFolder, to_json
from dait.workbench import Workbench, prepare

LOG = "sweep.jsonl"

OTHER_ARMS = ("direct", "vl2lite", "kd", "takd")
STAGE_TWO = (
    "spatial_weight",
    "pooled_weight",
    "logit_weight",
    "text_weight",
    "views",
    "stage1_epochs",
)
"""What the intermediate teacher of DAIT does not depend on."""

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
) -> list[dict[str, Any]]:
    """Train every arm with every seed under every setting; the rows of ``out/sweep.jsonl``.

    A row holds ``setting``, ``arm``, ``seed``, ``top1`` and ``intermediate_top1`` (fractions of the
    validation split), ``slices`` and ``seconds``. Of the weights only intermediate teachers are
    kept. Every setting is checked before the first is run. Raises UserError for a setting that is
    not possible, and where ``out`` holds a sweep of another recipe.
    """
    recipes = [recipe.changed(setting) for setting in settings]
    rows = _begin(out, recipe)
    for number, (setting, changed) in enumerate(zip(settings, recipes, strict=True)):
        if changed in recipes[:number]:
            emit(Note(f"{setting}: the same recipe as one before, not run again"))
            continue
        bench: Workbench | None = None
        for arm, seed in itertools.product(arms, seeds):
            if any(_is(row, setting, arm, seed) for row in rows):
                continue
            # Opened for the first run that is missing: data and teacher may differ by setting.
            bench = bench or prepare(changed, emit, measured="val")
            rows.append(_run(replace(bench, recipe=changed), setting, arm, seed, out, emit))
            lines = "".join(to_json(row) + "\n" for row in rows)
            write_atomically(out / LOG, lines)
    return rows


def _begin(out: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """The rows that are there already."""
    described = out / "recipe.yaml"
    if described.exists() and described.read_text(encoding="utf-8") != recipe.to_yaml():
        raise UserError(f"{out} holds a sweep of another recipe; choose another folder.")
    write_atomically(described, recipe.to_yaml())
    log = out / LOG
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def _is(row: Mapping[str, Any], setting: Setting, arm: Arm, seed: int) -> bool:
    same = json.loads(to_json(setting)) == row["setting"]
    return same and row["arm"] == arm and row["seed"] == seed


def _run(
    bench: Workbench, setting: Setting, arm: Arm, seed: int, out: Path, emit: Emit
) -> dict[str, Any]:
    from dait.pipeline import run_arm

    folder = RunFolder(out / "run")
    if folder.path.exists():  # cut off before its row was written
        shutil.rmtree(folder.path)
    kept = _intermediate_of(bench.recipe, seed, out) if arm == "dait" else None
    if kept is not None and kept.exists():
        folder.create({**bench.recipe.model_dump(), "arm": arm, "seed": seed})
        shutil.copy(kept, folder.intermediate)
        if _beside(kept).exists():
            folder.checkpoints.mkdir()
            shutil.copy(_beside(kept), folder.projections("intermediate"))
    result = run_arm(bench, arm, seed, folder, emit, resume=True)
    if kept is not None and not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        if folder.projections("intermediate").exists():
            folder.projections("intermediate").rename(_beside(kept))
        folder.intermediate.rename(kept)
    shutil.rmtree(folder.path)
    between = result["between"]
    row = {
        "setting": setting,
        "arm": arm,
        "seed": seed,
        "top1": result["top1"],
        "intermediate_top1": next((found["top1"] for found in between.values()), None),
        "slices": result.get("slices"),
        "seconds": result["seconds"],
    }
    emit(Note(f"{arm}, seed {seed}, {setting or 'as it is'}: validation {row['top1']:.1%}"))
    return row


def _beside(kept: Path) -> Path:
    """Where the projections of an intermediate teacher are kept."""
    return kept.with_suffix(".projections.safetensors")


def _intermediate_of(recipe: Recipe, seed: int, out: Path) -> Path | None:
    """Where the intermediate teacher is kept that this recipe's stage 1 gives with this seed.

    Settings of stage 2 and of the student leave it as it is, so it is trained only once for them.
    """
    if recipe.dait.teacher != "first":
        return None
    plain = recipe.model_dump(exclude={"name", "title", "expected", "student", *OTHER_ARMS})
    for key in STAGE_TWO:
        del plain["dait"][key]
    plain["stage1_epochs"] = recipe.dait.stage1_epochs or recipe.train.epochs
    key = hashlib.sha256(to_json([plain, seed]).encode()).hexdigest()[:16]
    return out / "intermediate" / f"{key}.safetensors"
