"""Where the figures come from: recipes, seeds, versions, and the commands to get them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dait.evidence.report.inputs import ReportInputs
from dait.evidence.report.section import Section
from dait.evidence.wording import listed, seeds
from dait.runs.data import recipe_of
from dait.runs.folder import RunFolder, StudyFolder


def write(inputs: ReportInputs) -> Section:
    """A part for every folder that was given, and what was left out."""
    section = Section("origins", "How to get this again")
    for title, folder in inputs.folders.items():
        if len(inputs.folders) > 1:
            section.heading(title)
        if (folder / "study.json").is_file():
            _study(section, StudyFolder(folder))
        else:
            _run(section, RunFolder(folder))
    section.heading("This report")
    against = "" if inputs.against is None else f" --against {shlex.quote(inputs.against)}"
    section.code(
        f"python -m dait compare {_words(inputs.folders)} --images {inputs.images}{against} "
        "--out report.html"
    )
    section.heading("Left out")
    if inputs.left_out:
        section.items([f"{row.what}: {row.reason}" for row in inputs.left_out])
    else:
        section.paragraph("Nothing that was asked for.")
    return section


def _study(section: Section, study: StudyFolder) -> None:
    described = study.description()
    first = study.runs()[0]
    recipe = recipe_of(first)
    teacher, data = described.get("teacher") or {}, described.get("data") or {}
    arms = list(dict.fromkeys(str(row["arm"]) for row in described["runs"]))
    numbers = sorted({int(row["seed"]) for row in described["runs"]})
    facts = [
        f"Recipe {recipe.name}{f': {recipe.title}' if recipe.title else ''}.",
        f"Arms {listed(arms)}; {seeds(numbers)}.",
        f"Student {recipe.student.name}, intermediate teacher {recipe.intermediate.name}, frozen "
        f"teacher {recipe.teacher.name}{_hash(teacher.get('weights_hash'))}.",
        _data_sentence(recipe.data.source, data),
        *_versions([run.result() or {} for run in study.runs()]),
    ]
    section.items(facts)
    out = f"runs/{recipe.name}"
    given = ",".join(map(str, numbers))
    section.paragraph("Save the recipe below as recipe.yaml, then:")
    section.code(
        f"python -m dait study recipe.yaml --arms {','.join(arms)} --seeds {given} --out {out}\n"
        f"python -m dait localise {out}\n"
        f"python -m dait compare {out} --out report.html"
    )
    section.code(recipe.to_yaml(), "The whole recipe, with every default filled in")


def _run(section: Section, run: RunFolder) -> None:
    recipe, config = recipe_of(run), run.config()
    out = f"runs/{run.path.resolve().name}"
    arm, seed = config["arm"], config["seed"]
    section.items(
        [
            f"Recipe {recipe.name}, arm {arm}, seed {seed}.",
            _data_sentence(recipe.data.source, {}),
            *_versions([run.result() or {}]),
        ]
    )
    section.code(f"python -m dait train recipe.yaml --arm {arm} --seed {seed} --out {out}")
    section.code(recipe.to_yaml(), "The whole recipe, with every default filled in")


def _data_sentence(source: str, data: Mapping[str, Any]) -> str:
    counts = data.get("counts") or {}
    described = ", ".join(f"{number:,} {split}" for split, number in counts.items())
    problems = len(data.get("problems") or ())
    unread = f"; {problems} files could not be read and were left out" if problems else ""
    images = f": {described} images" if described else ""
    return f"Data {Path(source).name}{images}{_hash(data.get('fingerprint'))}{unread}."


def _hash(value: object) -> str:
    return "" if not value else f" ({str(value)[:12]})"


def _versions(results: list[dict[str, Any]]) -> list[str]:
    """A sentence for each set of versions that runs were trained with."""
    found = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in (result.get("versions") or {}).items())
        for result in results
    )
    return [f"Trained with {described}." for described in found if described]


def _words(folders: Mapping[str, Path]) -> str:
    """The folders as they were given; of absolute ones the name, for a report is passed on."""
    given = (folder.name if folder.is_absolute() else str(folder) for folder in folders.values())
    return " ".join(map(shlex.quote, given))
