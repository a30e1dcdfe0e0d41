"""A finished study made small, to be shipped with an app: fp16 weights, no training-time parts."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import torch

from dait.config.recipe import parse_recipe
from dait.errors import UserError
from dait.evaluation.predictions import without_pooled
from dait.evaluation.results.outdated import outdated
from dait.events import Emit, Note, ignore
from dait.models.checkpoint import EXPORTED_FROM, load_network, save_network, weights_digest
from dait.models.spec import NAMED_WEIGHTS
from dait.runs.files import load_arrays
from dait.runs.folder import RunFolder, StudyFolder
from dait.storage.files import new_folder, write_arrays

STUDY_FILES = ("teacher.npz", "tsne.npz", "heatmaps.npz", "knowledge.json", "localisation.json")
"""What was measured is of the networks before they were rounded, whose digests they keep."""
RUN_FILES = ("metrics.jsonl", "result.json")


def export_study(
    study: StudyFolder, out: Path, weights_of: int | None = None, emit: Emit = ignore
) -> StudyFolder:
    """Copy a finished study to ``out``: its figures, and its networks as fp16 safetensors.

    weights_of: the seed whose networks are kept (the first by default); the others keep their
    figures and what they predicted, without pooled features. Figures that are not of the study's
    networks, which were trained again since, are left out, with a note. Raises UserError when the
    study is not finished, has no such seed, or ``out`` exists.
    """
    if study.state() != "finished":
        raise UserError(f"{study.path} is {study.state()}; only a finished study can be exported.")
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder.")
    described = study.description()
    rows = described["runs"]
    parse_recipe(described.get("recipe"), str(study.path / "study.json"))
    seeds = sorted({row["seed"] for row in rows})
    seed = seeds[0] if weights_of is None else weights_of
    if seed not in seeds:
        raise UserError(f"The study has no seed {seed}; it has {', '.join(map(str, seeds))}.")
    old = outdated(study)
    for name in old:
        emit(Note(f"{name} is left out: it was measured of other networks than {study.path} has"))
    with new_folder(out) as unfinished:
        _copy(study.path, unfinished, tuple(name for name in STUDY_FILES if name not in old))
        _write_description(study, StudyFolder(unfinished))
        for row, run in zip(rows, study.runs(), strict=True):
            target = RunFolder(unfinished / row["dir"])
            target.path.mkdir()
            _copy(run.path, target.path, RUN_FILES)
            target.create(_without_place(run.config()))
            target.write_status(**_without_process(run.status()))
            if row["seed"] == seed:
                _export_networks(run, target)
            elif (predictions := load_arrays(run.predictions)) is not None:
                write_arrays(target.predictions, without_pooled(predictions))
    return StudyFolder(out)


def _write_description(study: StudyFolder, target: StudyFolder) -> None:
    described = study.description()
    described.pop("reuse", None)
    target.write_description(described | {"recipe": _without_place(described["recipe"])})
    target.write_status(**_without_process(study.status()))


def _without_place(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with names in place of where its data and weights lie on this machine."""
    source = recipe["data"]["source"]
    if not source.startswith("hf:"):  # a name that has a slash, and is no path
        source = Path(source).name
    named = copy.deepcopy(recipe)
    named["data"]["source"] = source
    teachers = [named.get(arm, {}).get("network") for arm in ("kd", "takd")]
    for network in (named["student"], named["intermediate"], *teachers):
        weights = network and network.get("weights")
        if weights and not weights.startswith(NAMED_WEIGHTS):
            network["weights"] = Path(weights).name
    return named


def _without_process(status: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key not in ("pid", "boot", "folder")}


def _copy(source: Path, target: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def _export_networks(run: RunFolder, target: RunFolder) -> None:
    _copy(run.path, target.path, (run.predictions.name, run.familiarity.name, "deployment.json"))
    for file in (run.student, run.intermediate):
        if file.exists():
            loaded = load_network(file)
            save_network(
                target.path / file.name,
                loaded.network,
                loaded.classes,
                arm=loaded.description.arm,
                extra={**loaded.description.extra, EXPORTED_FROM: weights_digest(file)},
                dtype=torch.float16,
            )
