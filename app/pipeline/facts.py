"""The pipeline of a study, read from its files, and of the form, measured from its networks."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from app.catalogue.sources import FIELD_GUIDE
from app.pipeline.diagram import Pipeline, Shape, roles_of
from app.server.loader import engine
from app.studies.entries import recipe_of
from app.studies.order import Order
from dait.config.arms import ARMS
from dait.config.recipe import Recipe
from dait.models.spec import NetworkSpec
from dait.runs.files import read_arrays
from dait.runs.folder import StudyFolder
from dait.teachers.prompts import reads_prompts

USUAL_CLASSES = 20
"""The number of classes assumed for a data set that has not been read yet."""


def pipeline_of_study(study: StudyFolder, paths: bool = True) -> Pipeline:
    """As its recipe says, with the sizes that its finished runs measured.

    paths: whether to show the path of photographs, or only their folder's name.
    Raises ``UserError`` for a damaged study.
    """
    description, recipe = study.description(), recipe_of(study)
    arms = [arm for arm in ARMS if arm in (description.get("arms") or ())]
    networks = {
        role: Shape(spec.name)
        for role in roles_of(recipe, arms)
        if (spec := _spec(recipe, role)) is not None
    }
    for run in study.runs():
        result = run.result()
        if result is None:
            continue
        between = result.get("between") or {"intermediate": result.get("intermediate")}
        for role, found in {"student": result, **between}.items():
            if found and role in roles_of(recipe, arms):
                networks[role] = _measured(found)
    teacher = description.get("teacher") or {}
    classes = len(description.get("classes") or ()) or None
    return Pipeline(
        recipe=recipe,
        arms=arms,
        networks=networks,
        teacher=str(teacher.get("name") or recipe.teacher.name),
        classes=classes,
        embedding=_embedding(study),
        reads_text=bool(teacher.get("reads_text", True)),
        data=_data_title(recipe, paths),
    )


def pipeline_of_order(order: Order, paths: bool = True) -> Pipeline:
    """Of an order: every network is built once without its weights, to measure it.

    paths: as for ``pipeline_of_study``. Raises ``UserError`` for a network that cannot be built.
    """
    recipe = order.recipe
    drawn = recipe.data.source == FIELD_GUIDE
    classes = recipe.data.species if drawn else USUAL_CLASSES
    note = (
        ""
        if drawn
        else (f"Heads are counted for {USUAL_CLASSES} classes: the data has not been read yet.")
    )
    networks: dict[str, Shape] = {}
    for role in roles_of(recipe, order.arms):
        spec = _spec(recipe, role)
        if spec is not None:
            networks[role] = _shape(spec.model_dump_json(), classes, recipe.data.size)
    return Pipeline(
        recipe=recipe,
        arms=order.arms,
        networks=networks,
        teacher=recipe.teacher.name,
        classes=classes if drawn else None,
        note=note,
        reads_text=reads_prompts(recipe.teacher.name),
        data=_data_title(recipe, paths),
    )


def _data_title(recipe: Recipe, paths: bool) -> str:
    source = recipe.data.source
    return source if paths else Path(source).name


def _spec(recipe: Recipe, role: str) -> NetworkSpec | None:
    """The network of a role in any arm."""
    if role in ("student", "intermediate"):
        spec: NetworkSpec = getattr(recipe, role)
        return spec
    return engine().stage_network(recipe, role)


# The form is drawn at every change.
@lru_cache(maxsize=100)
def _shape(spec: str, classes: int, size: int) -> Shape:
    facts = engine().network_facts(NetworkSpec.model_validate_json(spec), classes, size)
    return Shape(facts.name, facts.parameters, facts.map, facts.pooled_width)


def _measured(found: dict[str, Any]) -> Shape:
    sides = found.get("map")
    return Shape(
        name=str(found.get("network") or ""),
        parameters=found.get("parameters"),
        map=(int(sides[0]), int(sides[1]), int(sides[2])) if sides else None,
    )


def _embedding(study: StudyFolder) -> int | None:
    """The width of the frozen teacher's embeddings; None if the study has none."""
    path = study.path / "teacher.npz"
    if not path.exists():
        return None
    prototypes = read_arrays(path, ("prototypes",))["prototypes"]
    return int(prototypes.shape[-1]) if prototypes.ndim else None
