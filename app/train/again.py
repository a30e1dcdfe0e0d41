"""The form as it would order a study once more, and what of the study it cannot say."""

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
    FormValues,
    Handed,
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
    """The values of the form that come nearest to ``order``, and what differs in a sentence.

    The sentence is empty where starting the form trains the same.
    """
    values = _nearest(config, order)
    return values, _differs(config, values, order)


def _differs(config: AppConfig, values: FormValues, order: Order) -> str:
    """In a sentence; empty where these values make this order."""
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
    return f"The form cannot say all of it: {listed(changed)} would be as in the recipe."


def form_with(config: AppConfig, order: Order, called: str) -> tuple[FormValues, str]:
    """``form_for``; what the form cannot say, the user of this machine has in a loaded recipe.

    called: what the recipe is called then.
    """
    values, differs = form_for(config, order)
    if not differs or not config.paths:
        return values, differs
    whole = replace(
        values,
        recipe=LOADED,
        data=AS_IN_RECIPE,
        student=AS_IN_RECIPE,
        intermediate=AS_IN_RECIPE,
        teacher=AS_IN_RECIPE,
        handed=None,
        loaded=Loaded(called, order.recipe.to_yaml()),
    )
    return whole, _differs(config, whole, order)


def _nearest(config: AppConfig, order: Order) -> FormValues:
    recipe = order.recipe
    data = _data(config, recipe.data.source)
    name = recipe.name if recipe.name in recipe_names() else recipe_for(data, None)
    base = load_recipe(name)
    if recipe.data.source == base.data.source:
        data = AS_IN_RECIPE
    same_teacher = recipe.teacher.name == base.teacher.name
    handed = None
    if (recipe.data.size, recipe.teacher.prompts) != (base.data.size, base.teacher.prompts):
        size = recipe.data.size if recipe.data.size != base.data.size else None
        handed = Handed(data, size, recipe.teacher.name, recipe.teacher.prompts)
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
        handed=handed,
    )


def _data(config: AppConfig, source: str) -> str:
    """The value of the data's list for a source; that of the recipe where there is none."""
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
