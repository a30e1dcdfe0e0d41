"""How well a frozen teacher names images without training: said wherever one is chosen or named.

The figures are those that were measured on this machine (``dait.teachers.zero_shot_figures``) and
those that finished studies, the shipped ones among them, hold of their own teachers. Nothing is
measured, loaded or read here but small files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.catalogue.sources import FIELD_GUIDE, Sources
from app.config import AppConfig
from app.data.prompts import read_teacher
from app.studies.entries import finished_studies, open_study, recipe_of
from app.ui.notice import notice
from app.ui.wording import escape, percent
from dait.config.inputs import DataConfig
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_names
from dait.errors import UserError
from dait.teachers.prompts import reads_prompts

Section = Mapping[str, Any]

MOST_OTHERS = 3
"""Other data sets that are named beside the chosen one."""


@dataclass(frozen=True)
class Known:
    """One measurement of a teacher. ``here``: whether it is of the data that is asked for.

    data: what the data set is called; top1, top5: fractions; images: None where not noted.
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
    """Of the teacher and the data that the Train tab's form has chosen.

    The values come from a browser: where one will not do there is nothing to say, and the form
    itself says why when it is sent.
    """
    if recipe not in recipe_names():
        return ""
    chosen = load_recipe(str(recipe))
    try:
        changes: dict[str, Any] = {}
        if teacher:
            name = changes["teacher.name"] = read_teacher(config, teacher)
            changes["teacher.image_size"] = None if reads_prompts(name) else chosen.data.size
        if data:
            changes["data.source"] = Sources(config).resolve(data)
        chosen = chosen.changed(changes)
    except UserError:
        return ""
    return recipe_html(config, chosen)


def recipe_html(config: AppConfig, recipe: Recipe) -> str:
    """Of the teacher and the data of a recipe: the figures, or how to get them; then others."""
    name = recipe.teacher.name
    described = recipe.model_dump(mode="json")
    found = list(known(config, described["teacher"], described["data"]))
    own = next((row for row in found if row.here), None)
    elsewhere = _elsewhere(row for row in found if not row.here)
    first = ""
    if own is not None:
        first = _figures(name, own)
    elif recipe.data.source != OWN_FOLDER:
        first = _unmeasured(config, recipe)
    elif not elsewhere:
        first = f"Zero-shot accuracy of <b>{escape(name)}</b>: not measured yet on any data."
    measured = _measured(described["teacher"], described["data"])
    warned = dict.fromkeys(line for row in measured if row.here for line in row.warnings)
    lines = [f'<p class="ds-hint">{line}</p>' for line in (first, elsewhere) if line]
    return "".join([*lines, *map(notice, warned)])


def others_html(config: AppConfig, recipe: Mapping[str, Any]) -> str:
    """What is known of the teacher of a study's recipe on other data than the study's."""
    found = known(config, recipe["teacher"], recipe["data"])
    line = _elsewhere(row for row in found if not row.here)
    return f'<p class="ds-hint">{line}</p>' if line else ""


def known(config: AppConfig, teacher: Section, data: Section) -> Iterator[Known]:
    """What is known of a teacher with the data sets' own prompts, each data set and split once.

    teacher, data: the sections of a recipe; what was measured of just these is marked as ``here``.
    """
    seen = set()
    for row in (*_of_studies(config, teacher, data), *_measured(teacher, data)):
        # A study's training leaves its figures in both places.
        key = (row.here, row.data, row.split, row.classes)
        if key not in seen:
            seen.add(key)
            yield row


def _measured(teacher: Section, data: Section) -> Iterator[Known]:
    from dait.teachers.zero_shot_figures import known_zero_shot

    fingerprint = _guide_fingerprint(data)
    for row in known_zero_shot(teacher["name"]):
        if not row.own_prompts:
            continue
        same_data = row.data == data["source"] and fingerprint in (None, row.fingerprint)
        here = same_data and teacher.get("image_size") in (None, row.image_size)
        title = _title(row.data)
        shown = (row.top1, row.top5, row.classes, row.n)
        yield Known(title, row.split, *shown, here, row.warnings)


def _of_studies(config: AppConfig, teacher: Section, data: Section) -> Iterator[Known]:
    for entry in finished_studies(config):
        try:
            study = open_study(config, entry.id)
            described, recipe = study.description(), recipe_of(study).model_dump()
        except UserError:
            continue  # damaged, which the list says; or deleted meanwhile
        facts = described.get("teacher") or {}
        if facts.get("name") != teacher["name"] or facts.get("zero_shot_top1") is None:
            continue
        asked = recipe["teacher"]
        if asked.get("templates") or asked.get("descriptions"):
            continue
        same_size = asked.get("image_size") == teacher.get("image_size")
        yield Known(
            data=_title(recipe["data"]["source"]),
            split="test",
            top1=facts["zero_shot_top1"],
            top5=facts.get("zero_shot_top5"),
            classes=len(described.get("classes") or ()),
            images=None,
            here=_same(recipe["data"], data) and same_size,
        )


def _same(one: Section, other: Section) -> bool:
    """Whether two data sections mean the same, though one may be older and know fewer settings."""
    try:
        return DataConfig.model_validate(one) == DataConfig.model_validate(other)
    except ValueError:
        return False


def _guide_fingerprint(data: Section) -> str | None:
    """Which Field Guide it is, of the many there are under one name; None for other data."""
    if data["source"] != FIELD_GUIDE:
        return None
    from dait.data.registry import open_dataset

    return open_dataset(**data).fingerprint


def _figures(name: str, row: Known) -> str:
    how = "Without training" if reads_prompts(name) else "By the classes' mean images"
    images = f"{row.images:,} " if row.images else ""
    return (
        f"{how}, <b>{escape(name)}</b> names {percent(row.top1)} of this data's {images}"
        f"{row.split} images right (zero-shot top-1; top-5 {percent(row.top5)}, "
        f"{row.classes} classes)."
    )


def _unmeasured(config: AppConfig, recipe: Recipe) -> str:
    name = escape(recipe.teacher.name)
    said = f"Zero-shot accuracy of <b>{name}</b>: not measured yet on this data."
    if not _is_plain(recipe.data):
        return f"{said} The training measures it first."
    words = ["python", "-m", "dait", "teacher", "eval", recipe.teacher.name]
    words += ["--data", _called(config, recipe.data.source), "--size", str(recipe.data.size)]
    if recipe.teacher.image_size:
        words += ["--teacher-size", str(recipe.teacher.image_size)]
    return f"{said} This does it: <code>{escape(shlex.join(words))}</code>"


def _elsewhere(rows: Iterable[Known]) -> str:
    named = [
        f"{percent(row.top1)} (top-5 {percent(row.top5)}) of the {row.split} images of "
        f"{escape(row.data)}, {row.classes} classes"
        for row in rows
    ]
    return f"On other data: {'; '.join(named[:MOST_OTHERS])}." if named else ""


def _is_plain(data: DataConfig) -> bool:
    """Whether source and size say everything: the command line can open no other data."""
    return data == DataConfig(source=data.source, size=data.size)


def _title(source: str) -> str:
    if source == FIELD_GUIDE:
        return "the Field Guide"
    # Strangers are not told where things lie on this machine.
    return Path(source).name if Path(source).is_absolute() else source


def _called(config: AppConfig, source: str) -> str:
    return source if config.paths else _title(source) if source != FIELD_GUIDE else source
