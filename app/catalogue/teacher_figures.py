"""The known zero-shot accuracy of a frozen teacher, shown wherever one is chosen.

The figures are those that were measured on this machine (``dait.teachers.zero_shot_figures``) and
those in finished studies, bundled ones included. Nothing is measured or loaded here; only small
files are read.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.catalogue.sources import FIELD_GUIDE, Sources
from app.catalogue.teachers import read_teacher
from app.config import AppConfig
from app.studies.entries import finished_studies, open_study, recipe_of
from app.ui.notice import notice
from app.ui.templates import render
from dait.config.inputs import DataConfig
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_names
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.teachers.prompts import reads_prompts
from dait.teachers.zero_shot_figures import known_zero_shot

Section = Mapping[str, Any]

MOST_OTHERS = 3
"""Other data sets that are listed after the chosen one."""


@dataclass(frozen=True)
class TeacherFigures:
    """One measurement of a teacher; here: whether it is on the chosen data.

    data: the data set's title; top1, top5: fractions; images: None if not recorded.
    """

    data: str
    split: str
    top1: float
    top5: float | None
    classes: int
    images: int | None
    here: bool
    warnings: tuple[str, ...] = ()


def form_html(config: AppConfig, recipe: object, data: object, teacher: object) -> str:
    """The figures for the form's teacher and data.

    The values come from a browser. Invalid ones give an empty text; the form reports them when it
    is sent.
    """
    if recipe not in recipe_names():
        return ""
    chosen = load_recipe(str(recipe))
    try:
        changes: dict[str, Any] = {}
        if teacher:
            name = changes["teacher.name"] = read_teacher(config, teacher)
            if name != chosen.teacher.name:  # whose size the recipe says
                changes["teacher.image_size"] = None if reads_prompts(name) else chosen.data.size
        if data:
            changes["data.source"] = Sources(config).resolve(data)
        chosen = chosen.changed(changes)
    except UserError:
        return ""
    return recipe_html(config, chosen)


def recipe_html(config: AppConfig, recipe: Recipe) -> str:
    """Of a recipe's teacher on its data: the figures, or how to get them; then on other data."""
    described = recipe.model_dump(mode="json")
    found = list(known(config, described["teacher"], described["data"]))
    others = [row for row in found if not row.here][:MOST_OTHERS]
    unmeasured = None
    if recipe.data.source != OWN_FOLDER:
        unmeasured = {"data": "this data", **_how_to_measure(config, recipe)}
    elif not others:
        unmeasured = {"data": "any data", "command": "", "later": False}
    name = recipe.teacher.name
    measured = _measured(described["teacher"], described["data"])
    warned = dict.fromkeys(line for row in measured if row.here for line in row.warnings)
    return render(
        "teacher_figures",
        teacher=name,
        how="Without training" if reads_prompts(name) else "By the classes' mean embeddings",
        own=next((row for row in found if row.here), None),
        unmeasured=unmeasured,
        others=others,
        warnings=[notice(line) for line in warned],
    )


def others_html(config: AppConfig, recipe: Mapping[str, Any]) -> str:
    """What is known of the teacher of a study's recipe on other data than the study's."""
    found = known(config, recipe["teacher"], recipe["data"])
    others = [row for row in found if not row.here][:MOST_OTHERS]
    return render("teacher_figures", own=None, unmeasured=None, others=others, warnings=[])


def known(config: AppConfig, teacher: Section, data: Section) -> Iterator[TeacherFigures]:
    """The measurements of a teacher with the data sets' own prompts, once per data set and split.

    teacher, data: the sections of a recipe; measurements of exactly these are ``here``.
    """
    seen = set()
    for row in (*_of_studies(config, teacher, data), *_measured(teacher, data)):
        # A study's training stores its figures in both places.
        key = (row.here, row.data, row.split, row.classes)
        if key not in seen:
            seen.add(key)
            yield row


def _measured(teacher: Section, data: Section) -> Iterator[TeacherFigures]:
    fingerprint = _guide_fingerprint(data)
    for row in known_zero_shot(teacher["name"]):
        if not row.own_prompts:
            continue
        same_data = row.data == data["source"] and fingerprint in (None, row.fingerprint)
        here = same_data and teacher.get("image_size") in (None, row.image_size)
        title = _title(row.data)
        shown = (row.top1, row.top5, row.classes, row.n)
        yield TeacherFigures(title, row.split, *shown, here, row.warnings)


def _of_studies(config: AppConfig, teacher: Section, data: Section) -> Iterator[TeacherFigures]:
    for entry in finished_studies(config):
        try:
            study = open_study(config, entry.id)
            described, recipe = study.description(), recipe_of(study).model_dump()
        except UserError:
            continue  # damaged, which the list says; or deleted meanwhile
        facts = described.get("teacher") or {}
        if facts.get("name") != teacher["name"] or facts.get("zero_shot_top1") is None:
            continue
        requested = recipe["teacher"]
        if requested.get("templates") or requested.get("descriptions"):
            continue
        same_size = requested.get("image_size") == teacher.get("image_size")
        yield TeacherFigures(
            data=_title(recipe["data"]["source"]),
            split="test",
            top1=facts["zero_shot_top1"],
            top5=facts.get("zero_shot_top5"),
            classes=len(described.get("classes") or ()),
            images=None,
            here=_same(recipe["data"], data) and same_size,
        )


def _same(one: Section, other: Section) -> bool:
    """Whether two data sections are equal, where one may be older and have fewer settings."""
    try:
        return DataConfig.model_validate(one) == DataConfig.model_validate(other)
    except ValueError:
        return False


def _guide_fingerprint(data: Section) -> str | None:
    """The fingerprint of this version of the Field Guide; None for other data."""
    if data["source"] != FIELD_GUIDE:
        return None
    return open_dataset(**data).fingerprint


def _how_to_measure(config: AppConfig, recipe: Recipe) -> dict[str, Any]:
    """The command that measures it; empty where only a training can open the data."""
    if not _is_plain(recipe.data):
        return {"command": "", "later": True}
    words = ["python", "-m", "dait", "teacher", "eval", recipe.teacher.name]
    words += ["--data", _called(config, recipe.data.source), "--size", str(recipe.data.size)]
    if recipe.teacher.image_size:
        words += ["--teacher-size", str(recipe.teacher.image_size)]
    return {"command": shlex.join(words), "later": False}


def _is_plain(data: DataConfig) -> bool:
    """Whether source and size define the data: the command line can open no other."""
    return data == DataConfig(source=data.source, size=data.size)


def _title(source: str) -> str:
    if source == FIELD_GUIDE:
        return "the Field Guide"
    # Other visitors do not learn where files are on this machine.
    return Path(source).name if Path(source).is_absolute() else source


def _called(config: AppConfig, source: str) -> str:
    return source if config.paths else _title(source) if source != FIELD_GUIDE else source
