"""The values of the form, checked and made into an order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.catalogue.sources import FIELD_GUIDE, Sources
from app.catalogue.teachers import DEMO_TEACHER, read_teacher, teacher_choices
from app.config import AppConfig
from app.server.loader import engine
from app.studies.order import Order
from app.train.network_facts import at_supported_stride, offered_network
from app.ui.wording import listed
from dait.config.arms import ARMS, Arm
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_from_text, recipe_names
from dait.data.sources.catalogue import absolute_source
from dait.errors import UserError
from dait.models.catalogue import CURATED
from dait.models.spec import NetworkSpec
from dait.teachers.prompts import Prompts, reads_prompts

AS_IN_RECIPE = ""
LOADED = "loaded"
"""The recipe's value where it is a file that the visitor has loaded."""
LARGEST_FIRST_SEED = 2**31 - 10
FIRST_RECIPE = "demo"
RECIPE_FOR_PHOTOGRAPHS = "photos"


@dataclass(frozen=True)
class DataSelection:
    """The Data tab's choices for one data set; for other data they do not apply.

    data: a value of ``Sources``; size: pixels a side, None for the recipe's.
    """

    data: str
    size: int | None
    teacher: str
    prompts: Prompts

    def describe(self, title: str) -> str:
        """A sentence about it. title: the data's."""
        size = f", images of {self.size} px" if self.size else ""
        own = summary(self.prompts)
        prompts = f", with your own {own}" if own else ""
        return f"From the Data tab: {title}{size}, taught by {self.teacher}{prompts}."


@dataclass(frozen=True)
class Loaded:
    """A recipe file that the visitor has loaded: its name and YAML."""

    name: str
    text: str


@dataclass(frozen=True)
class FormValues:
    """The form's values as the page sends them, unchecked."""

    recipe: Any
    data: Any
    arms: Any
    seed_count: Any
    first_seed: Any
    epochs: Any
    student: Any
    intermediate: Any
    teacher: Any = AS_IN_RECIPE
    selection: Any = None
    loaded: Any = None


def recipe_choices(loaded: Loaded | None = None) -> list[tuple[str, str]]:
    """(title, name) of the loaded recipe and the bundled ones, ``FIRST_RECIPE`` first."""
    names = sorted(recipe_names(), key=lambda name: (name != FIRST_RECIPE, name))
    own = [] if loaded is None else [(f"{loaded.name} (loaded)", LOADED)]
    return [*own, *((load_recipe(name).title or name, name) for name in names)]


def chosen_recipe(config: AppConfig, name: object, loaded: object) -> Recipe:
    """The form's recipe. Raises ``UserError`` for an unknown name.

    Only the user of this machine may train a loaded one: it may set what the form does not check.
    """
    if name == LOADED and isinstance(loaded, Loaded) and config.paths:
        return recipe_from_text(loaded.text, loaded.name)
    if name not in recipe_names():
        raise UserError(f"Choose a recipe: {listed(recipe_names())}.")
    return load_recipe(str(name))


def data_choices(config: AppConfig, chosen: object = None) -> list[tuple[str, str]]:
    """The recipe's own data, and all that the Data tab offers."""
    return [("As in the recipe", AS_IN_RECIPE), *Sources(config).choices(chosen)]


def teachers(config: AppConfig) -> list[tuple[str, str]]:
    """The frozen teachers that a visitor may choose."""
    return [("As in the recipe", AS_IN_RECIPE), *teacher_choices(config)]


def recipe_for(data: str, current: object) -> str:
    """The recipe to train this data with: the current one if it reads the data the same way.

    The Data tab reads data as ``FIRST_RECIPE`` or ``RECIPE_FOR_PHOTOGRAPHS`` does.
    """
    usual = FIRST_RECIPE if data == FIELD_GUIDE else RECIPE_FOR_PHOTOGRAPHS
    if current not in recipe_names():
        return usual
    mine, theirs = load_recipe(str(current)).data, load_recipe(usual).data
    if data == FIELD_GUIDE:
        same = mine.model_copy(update={"size": theirs.size}) == theirs
    else:
        drawn = mine.source == FIELD_GUIDE
        same = not drawn and (mine.seed, mine.val_fraction) == (theirs.seed, theirs.val_fraction)
    return str(current) if same else usual


def network_choices() -> list[tuple[str, str]]:
    """The networks in the list; the user of this machine may name any other."""
    return [("As in the recipe", AS_IN_RECIPE), *((entry.name, entry.name) for entry in CURATED)]


def read_form(config: AppConfig, values: FormValues) -> Order:
    """The order for these values. Raises ``UserError`` for the first invalid one."""
    recipe = chosen_recipe(config, values.recipe, values.loaded)
    epochs = _whole(values.epochs, "Epochs", 1, config.limits.epochs, config.limits.note)
    changes: dict[str, Any] = {"train.epochs": epochs}
    if recipe.dait.stage1_epochs is not None:
        # The first stage keeps its share of the epochs.
        share = recipe.dait.stage1_epochs / recipe.train.epochs
        changes["dait.stage1_epochs"] = max(1, round(share * epochs))
    changes |= _data_changes(config, values, recipe)
    size = changes.get("data.size", recipe.data.size)
    for role, name in (("student", values.student), ("intermediate", values.intermediate)):
        if name != AS_IN_RECIPE and name is not None:
            known = offered_network(config, name)
            stride = getattr(recipe, role).output_stride
            changes[role] = _network(known, stride, size).model_dump()
    return Order(recipe.changed(changes), _arms(values.arms), _seeds(config, values))


def require_fit(data: object, teacher: str) -> None:
    """Raise ``UserError`` if the teacher was not trained for such data."""
    if data != FIELD_GUIDE and teacher == DEMO_TEACHER:
        raise UserError(
            "The demo teacher was trained on drawn birds only and cannot teach about photographs. "
            "Choose a recipe for photographs, or another frozen teacher."
        )


def summary(prompts: Prompts) -> str:
    """What these prompts change, in a few words; empty where nothing is changed."""
    parts = []
    if prompts.templates:
        count = len(prompts.templates)
        parts.append("1 template" if count == 1 else f"{count} templates")
    if prompts.descriptions:
        count = len(prompts.descriptions)
        parts.append(f"descriptions of {'1 class' if count == 1 else f'{count} classes'}")
    return " and ".join(parts)


def _data_changes(config: AppConfig, values: FormValues, recipe: Recipe) -> dict[str, Any]:
    """The recipe's changes for the data, the teacher and the Data tab's selection."""
    changes: dict[str, Any] = {}
    teacher = recipe.teacher.name
    if values.teacher not in (AS_IN_RECIPE, None):
        teacher = changes["teacher.name"] = read_teacher(config, values.teacher)
    if values.data not in (AS_IN_RECIPE, None):
        changes["data.source"] = Sources(config).resolve(values.data)
        require_fit(values.data, teacher)
    elif recipe.data.source == OWN_FOLDER:
        raise UserError(f"The recipe {recipe.name} needs photographs: choose a folder under Data.")
    else:  # a loaded recipe's path is relative to here; the trainer runs in another folder
        changes["data.source"] = absolute_source(recipe.data.source)
    selection = values.selection
    if isinstance(selection, DataSelection) and selection.data == values.data:
        if selection.size:
            changes["data.size"] = selection.size
        if selection.prompts and not reads_prompts(teacher):
            raise UserError(
                f"The teacher {teacher} sees images only and cannot read your prompts. Choose one "
                "that reads text, or choose the data again to train without them."
            )
        changes["teacher.templates"] = list(selection.prompts.templates)
        changes["teacher.descriptions"] = dict(selection.prompts.descriptions)
    if teacher != recipe.teacher.name and not reads_prompts(teacher):
        changes["teacher.image_size"] = changes.get("data.size", recipe.data.size)
    return changes


def _arms(value: Any) -> tuple[Arm, ...]:
    chosen = value if isinstance(value, list) else []
    unknown = [arm for arm in chosen if arm not in ARMS]
    if unknown or not chosen:
        raise UserError("Choose at least one arm to train.")
    return tuple(arm for arm in ARMS if arm in chosen)


def _seeds(config: AppConfig, values: FormValues) -> tuple[int, ...]:
    count = _whole(values.seed_count, "Seeds", 1, config.limits.seeds, config.limits.note)
    first = _whole(values.first_seed, "First seed", 0, LARGEST_FIRST_SEED)
    return tuple(range(first, first + count))


def _whole(value: Any, name: str, low: int, high: int, note: str = "") -> int:
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    # The bounds first: they keep NaN and infinity from int().
    if number is None or not low <= number <= high or number != int(number):
        found = "nothing" if value is None else f"{value!r}"
        sentence = f"{name}: give a whole number from {low} to {high}, not {found}. {note}"
        raise UserError(sentence.strip())
    return int(number)


# The form is read at every change; building a network can take seconds.
@lru_cache(maxsize=100)
def _network(name: str, stride: int, size: int) -> NetworkSpec:
    """The chosen network at the recipe's stride, or at its own if it cannot be dilated."""
    spec, _ = at_supported_stride(name, stride, lambda spec: engine().check_network(spec, size))
    return spec
