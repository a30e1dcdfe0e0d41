"""Studies of one recipe, run apart (say a seed a machine), put together as one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dait.errors import UserError
from dait.files import whole_folder
from dait.runs import StudyFolder

SAME = ("recipe", "classes", "counts", "teacher")
"""What studies must agree in for their figures to be comparable; see ``_identity``."""


def merge_studies(studies: Sequence[StudyFolder], out: Path) -> StudyFolder:
    """Copy the runs of finished ``studies`` into the new study ``out``; the first one leads.

    Raises UserError when one is not finished, when they differ in recipe, data or teacher, when
    two hold the same arm and seed, or when ``out`` exists.
    """
    if len(studies) < 2:
        raise UserError("Name at least two studies to merge.")
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder.")
    described = [_described(study) for study in studies]
    first = described[0]
    for study, other in zip(studies, described, strict=True):
        mine, theirs = _identity(first), _identity(other)
        differing = [name for name in SAME if mine[name] != theirs[name]]
        if differing:
            raise UserError(
                f"{study.path} differs from {studies[0].path} in {', '.join(differing)}; only "
                "studies of the same recipe, data and teacher can be merged."
            )
    rows = [row for other in described for row in other["runs"]]
    names = [row["dir"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"More than one of the studies holds {', '.join(twice)}; leave one out.")
    with whole_folder(out) as unfinished:
        shutil.copytree(studies[0].path, unfinished, dirs_exist_ok=True)
        for study, other in zip(studies[1:], described[1:], strict=True):
            for row in other["runs"]:
                shutil.copytree(study.path / row["dir"], unfinished / row["dir"])
        _describe(StudyFolder(unfinished), first, rows)
    return StudyFolder(out)


def _describe(merged: StudyFolder, first: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    seeds = sorted({row["seed"] for row in rows})
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    merged.write_description(first | {"arms": arms, "seeds": seeds, "runs": rows})
    merged.write_status(run_count=len(rows), message=f"{len(rows)} runs finished")


def _identity(described: dict[str, Any]) -> dict[str, Any]:
    """What must agree. Not measured figures, which another machine may round otherwise, nor a
    folder's fingerprint, which holds the times of its files."""
    teacher, data = described.get("teacher", {}), described.get("data", {})
    return {
        "recipe": described.get("recipe"),
        "classes": described.get("classes"),
        "counts": data.get("counts"),
        "teacher": (teacher.get("name"), teacher.get("weights_hash")),
    }


def _described(study: StudyFolder) -> dict[str, Any]:
    if study.state() != "finished":
        raise UserError(f"{study.path} is {study.state()}; only finished studies can be merged.")
    return study.description()
