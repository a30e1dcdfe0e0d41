"""What the form asks for, and the checked order that its values make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.jobs import Order
from app.place import Place
from app.wording import listed
from dait.data.registry import list_datasets
from dait.errors import UserError
from dait.models.spec import SUGGESTED_NETWORKS, NetworkSpec
from dait.recipe import ARMS, Arm, load_recipe, recipe_names

AS_IN_RECIPE = ""
TEXT_TEACHER_OF_BIRDS = "fieldguide-clip"
LARGEST_FIRST_SEED = 2**31 - 10
FIRST_RECIPE = "demo"


@dataclass(frozen=True)
class FormValues:
    """The form as it came from the page: nothing in it is checked."""

    recipe: Any
    data: Any
    arms: Any
    seed_count: Any
    first_seed: Any
    epochs: Any
    student: Any
    intermediate: Any


def recipe_choices() -> list[tuple[str, str]]:
    """(title, name) of the recipes that come along, ``FIRST_RECIPE`` first."""
    names = sorted(recipe_names(), key=lambda name: (name != FIRST_RECIPE, name))
    return [(load_recipe(name).title or name, name) for name in names]


def data_choices(place: Place) -> list[tuple[str, str]]:
    """What can be trained on: the recipe's own data, data by name, the offered folders."""
    known = [(card.title, card.name) for card in list_datasets()]
    folders = [(f"{name} (folder)", f"folder:{name}") for name in place.data]
    return [("As in the recipe", AS_IN_RECIPE), *known, *folders]


def network_choices() -> list[tuple[str, str]]:
    """The networks that a visitor may choose."""
    return [("As in the recipe", AS_IN_RECIPE), *((name, name) for name in SUGGESTED_NETWORKS)]


def read_form(place: Place, values: FormValues) -> Order:
    """The order that the values make. Raises ``UserError`` for the first one that will not do."""
    if values.recipe not in recipe_names():
        raise UserError(f"Choose a recipe: {listed(recipe_names())}.")
    recipe = load_recipe(values.recipe)
    epochs = _whole(values.epochs, "Epochs", 1, place.limits.epochs, place.limits.note)
    changes: dict[str, Any] = {"train.epochs": epochs}
    if recipe.dait.stage1_epochs is not None:
        # The first stage keeps its share: two epochs are asked for to see a result soon.
        share = recipe.dait.stage1_epochs / recipe.train.epochs
        changes["dait.stage1_epochs"] = max(1, round(share * epochs))
    source = _source(place, values.data)
    if source is not None:
        changes["data.source"] = source
        if source != "fieldguide" and recipe.teacher.name == TEXT_TEACHER_OF_BIRDS:
            raise UserError(
                f"The recipe {recipe.name} has the demo teacher, which knows drawn birds only and "
                "would teach nothing about photographs. Choose a recipe for photographs."
            )
    elif recipe.data.source not in [card.name for card in list_datasets()]:
        raise UserError(f"The recipe {recipe.name} needs photographs: choose a folder under Data.")
    for role, name in (("student", values.student), ("intermediate", values.intermediate)):
        if name != AS_IN_RECIPE and name is not None:
            changes[role] = _network(name, getattr(recipe, role)).model_dump()
    return Order(recipe.changed(changes), _arms(values.arms), _seeds(place, values))


def _source(place: Place, value: Any) -> str | None:
    if value in (AS_IN_RECIPE, None):
        return None
    if value in [card.name for card in list_datasets()]:
        return str(value)
    kind, _, name = str(value).partition(":")
    # A name from our own list and never a path: what a visitor types leads nowhere.
    if kind != "folder" or name not in place.data:
        raise UserError("Choose the data from the list.")
    return str(place.data[name])


def _arms(value: Any) -> tuple[Arm, ...]:
    chosen = value if isinstance(value, list) else []
    unknown = [arm for arm in chosen if arm not in ARMS]
    if unknown or not chosen:
        raise UserError("Choose at least one arm to train.")
    return tuple(arm for arm in ARMS if arm in chosen)


def _seeds(place: Place, values: FormValues) -> tuple[int, ...]:
    count = _whole(values.seed_count, "Seeds", 1, place.limits.seeds, place.limits.note)
    first = _whole(values.first_seed, "First seed", 0, LARGEST_FIRST_SEED)
    return tuple(range(first, first + count))


def _whole(value: Any, name: str, low: int, high: int, note: str = "") -> int:
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    # The bounds first: they are what keeps "not a number" and infinity from int().
    if number is None or not low <= number <= high or number != int(number):
        found = "nothing" if value is None else f"{value!r}"
        sentence = f"{name}: give a whole number from {low} to {high}, not {found}. {note}"
        raise UserError(sentence.strip())
    return int(number)


def _network(name: Any, usual: NetworkSpec) -> NetworkSpec:
    """The chosen network at the recipe's stride, or at its own where it cannot be dilated."""
    if name not in SUGGESTED_NETWORKS:
        raise UserError("Choose the network from the list.")
    from dait.models.network import build_network

    spec = NetworkSpec(name=name, output_stride=usual.output_stride)
    try:
        build_network(spec, num_classes=2, image_size=64)
    except UserError:
        return NetworkSpec(name=name)
    return spec
