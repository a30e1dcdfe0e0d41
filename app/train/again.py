"""The form's values for an existing study, and what the form cannot express of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.catalogue.sources import PATH, Sources
from app.config import AppConfig
from app.studies.order import Order
from app.train.command import NAMES
from app.train.form import (
    AS_IN_RECIPE,
    LOADED,
    DataSelection,
    FormValues,
    Loaded,
    network_choices,
    read_form,
    recipe_for,
    teachers,
)
from app.ui.wording import listed
from dait.config.recipe import load_recipe, recipe_names
from dait.errors import UserError
from dait.study.plan import differences


def form_for(config: AppConfig, order: Order) -> tuple[FormValues, str]:
    """The form's values nearest to ``order``, and a sentence about the differences.

    The sentence is empty if starting the form trains the same.
    """
    values = _nearest(config, order)
    return values, _differences(config, values, order)


def _differences(config: AppConfig, values: FormValues, order: Order) -> str:
    """The differences as a sentence; empty if these values make this order."""
    try:
        found = read_form(config, values)
    except UserError as error:
        return str(error)
    mine, theirs = found.recipe.model_dump(), order.recipe.model_dump()
    changed = [key for key in differences(theirs, mine) if key not in NAMES]
    changed += ["arms"] if found.arms != order.arms else []
    changed += ["seeds"] if found.seeds != order.seeds else []
    if not changed:
        return ""
    return f"The form cannot express all of it: {listed(changed)} would be as in the recipe."


def form_or_recipe_for(config: AppConfig, order: Order, name: str) -> tuple[FormValues, str]:
    """``form_for``, but what the form cannot express becomes a loaded recipe on one's own machine.

    name: of that recipe.
    """
    values, sentence = form_for(config, order)
    if not sentence or not config.paths:
        return values, sentence
    whole = replace(
        values,
        recipe=LOADED,
        data=AS_IN_RECIPE,
        student=AS_IN_RECIPE,
        intermediate=AS_IN_RECIPE,
        teacher=AS_IN_RECIPE,
        selection=None,
        loaded=Loaded(name, order.recipe.to_yaml()),
    )
    return whole, _differences(config, whole, order)


def _nearest(config: AppConfig, order: Order) -> FormValues:
    recipe = order.recipe
    data = _data(config, recipe.data.source)
    name = recipe.name if recipe.name in recipe_names() else recipe_for(data, None)
    base = load_recipe(name)
    if recipe.data.source == base.data.source:
        data = AS_IN_RECIPE
    same_teacher = recipe.teacher.name == base.teacher.name
    selection = None
    if (recipe.data.size, recipe.teacher.prompts) != (base.data.size, base.teacher.prompts):
        size = recipe.data.size if recipe.data.size != base.data.size else None
        selection = DataSelection(data, size, recipe.teacher.name, recipe.teacher.prompts)
    return FormValues(
        recipe=name,
        data=data,
        arms=list(order.arms),
        seed_count=min(len(order.seeds), config.limits.seeds),
        first_seed=order.seeds[0],
        epochs=min(recipe.train.epochs, config.limits.epochs),
        student=_network(config, recipe.student.name, base.student.name),
        intermediate=_network(config, recipe.intermediate.name, base.intermediate.name),
        teacher=AS_IN_RECIPE if same_teacher else _offered(config, recipe.teacher.name),
        selection=selection,
    )


def _data(config: AppConfig, source: str) -> str:
    """The list's value for a data source; the recipe's own if there is none."""
    sources = Sources(config)
    for value in [*(known for _, known in sources.choices()), source, PATH + source]:
        try:
            if sources.resolve(value) == source:
                return value
        except UserError:
            continue  # not offered here, or not there any more
    return AS_IN_RECIPE


def _network(config: AppConfig, name: str, usual: str) -> Any:
    offered = config.paths or name in [known for _, known in network_choices()]
    return name if name != usual and offered else AS_IN_RECIPE


def _offered(config: AppConfig, name: str) -> str:
    return (
        name if config.paths or name in [known for _, known in teachers(config)] else AS_IN_RECIPE
    )
