"""What the form asks for, and the checked order that its values make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.catalogue.sources import FIELD_GUIDE, Sources
from app.config import AppConfig
from app.data.prompts import DEMO_TEACHER, read_teacher, summary, teacher_choices
from app.studies.order import Order
from app.train.network_facts import at_a_stride_it_takes, offered_network
from app.ui.wording import listed
from dait.config.arms import ARMS, Arm
from dait.config.recipe import OWN_FOLDER, Recipe, load_recipe, recipe_from_text, recipe_names
from dait.data.registry import absolute_source
from dait.errors import UserError
from dait.models.catalogue import CURATED
from dait.models.spec import NetworkSpec
from dait.teachers.prompts import Prompts, reads_prompts

AS_IN_RECIPE = ""
LOADED = "loaded"
"""The recipe's value where it is a file that the visitor has loaded."""
LARGEST_FIRST_SEED = 2**31 - 10
FIRST_RECIPE = "demo"
RECIPE_FOR_PHOTOGRAPHS = "quick"


@dataclass(frozen=True)
class Handed:
    """What the Data tab hands over. It holds for this data alone.

    data: a value of ``Sources``; size: pixels a side, None for the recipe's.
    """

    data: str
    size: int | None
    teacher: str
    prompts: Prompts

    def words(self, title: str) -> str:
        """What is handed over, in a sentence."""
        size = f", images of {self.size} px" if self.size else ""
        said = summary(self.prompts)
        prompts = f", with {said} of your own" if said else ""
        return f"From the Data tab: {title}{size}, taught by {self.teacher}{prompts}."


@dataclass(frozen=True)
class Loaded:
    """A recipe of the visitor's own, which says more than the form: its file's name and YAML."""

    called: str
    text: str


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
    teacher: Any = AS_IN_RECIPE
    handed: Any = None
    loaded: Any = None


def recipe_choices(loaded: Loaded | None = None) -> list[tuple[str, str]]:
    """(title, name) of the recipes that come along, ``FIRST_RECIPE`` first, and the loaded one."""
    names = sorted(recipe_names(), key=lambda name: (name != FIRST_RECIPE, name))
    own = [] if loaded is None else [(f"{loaded.called} (loaded)", LOADED)]
    return [*own, *((load_recipe(name).title or name, name) for name in names)]


def chosen_recipe(config: AppConfig, name: object, loaded: object) -> Recipe:
    """The recipe that the form begins with. Raises ``UserError`` for a name that is none.

    A loaded one may say what no field of the form bounds, so strangers cannot train it.
    """
    if name == LOADED and isinstance(loaded, Loaded) and config.paths:
        return recipe_from_text(loaded.text, loaded.called)
    if name not in recipe_names():
        raise UserError(f"Choose a recipe: {listed(recipe_names())}.")
    return load_recipe(str(name))


def data_choices(config: AppConfig, chosen: object = None) -> list[tuple[str, str]]:
    """What can be trained on: the recipe's own data, and all that the Data tab offers."""
    return [("As in the recipe", AS_IN_RECIPE), *Sources(config).choices(chosen)]


def teachers(config: AppConfig) -> list[tuple[str, str]]:
    """The frozen teachers that a visitor may choose."""
    return [("As in the recipe", AS_IN_RECIPE), *teacher_choices(config)]


def recipe_for(data: str, current: object) -> str:
    """The recipe to train this data with: the current one where it takes the data as it was seen.

    The Data tab opens data as ``FIRST_RECIPE`` or ``RECIPE_FOR_PHOTOGRAPHS`` does.
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
    """The networks that are offered first; the user of this machine may name any other."""
    return [("As in the recipe", AS_IN_RECIPE), *((entry.name, entry.name) for entry in CURATED)]


def read_form(config: AppConfig, values: FormValues) -> Order:
    """The order that the values make. Raises ``UserError`` for the first one that will not do."""
    recipe = chosen_recipe(config, values.recipe, values.loaded)
    epochs = _whole(values.epochs, "Epochs", 1, config.limits.epochs, config.limits.note)
    changes: dict[str, Any] = {"train.epochs": epochs}
    if recipe.dait.stage1_epochs is not None:
        # The first stage keeps its share: two epochs are asked for to see a result soon.
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
    """Raises ``UserError`` for a teacher that knows nothing of this data."""
    if data != FIELD_GUIDE and teacher == DEMO_TEACHER:
        raise UserError(
            "The demo teacher knows drawn birds only and would teach nothing about photographs. "
            "Choose a recipe for photographs, or another frozen teacher."
        )


def _data_changes(config: AppConfig, values: FormValues, recipe: Recipe) -> dict[str, Any]:
    """What the data, the teacher and what the Data tab handed over change in a recipe."""
    changes: dict[str, Any] = {}
    teacher = recipe.teacher.name
    if values.teacher not in (AS_IN_RECIPE, None):
        teacher = changes["teacher.name"] = read_teacher(config, values.teacher)
    if values.data not in (AS_IN_RECIPE, None):
        changes["data.source"] = Sources(config).resolve(values.data)
        require_fit(values.data, teacher)
    elif recipe.data.source == OWN_FOLDER:
        raise UserError(f"The recipe {recipe.name} needs photographs: choose a folder under Data.")
    else:  # a loaded recipe's path is meant from here: the trainer works in another folder
        changes["data.source"] = absolute_source(recipe.data.source)
    handed = values.handed
    if isinstance(handed, Handed) and handed.data == values.data:
        if handed.size:
            changes["data.size"] = handed.size
        if handed.prompts and not reads_prompts(teacher):
            raise UserError(
                f"The teacher {teacher} sees images only and cannot read your prompts. Choose one "
                "that reads, or choose the data again to train without them."
            )
        changes["teacher.templates"] = list(handed.prompts.templates)
        changes["teacher.descriptions"] = dict(handed.prompts.descriptions)
    if "teacher.name" in changes and not reads_prompts(teacher):
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
    # The bounds first: they are what keeps "not a number" and infinity from int().
    if number is None or not low <= number <= high or number != int(number):
        found = "nothing" if value is None else f"{value!r}"
        sentence = f"{name}: give a whole number from {low} to {high}, not {found}. {note}"
        raise UserError(sentence.strip())
    return int(number)


# The form is read with every change of it; building a network takes up to seconds.
@lru_cache(maxsize=100)
def _network(name: str, stride: int, size: int) -> NetworkSpec:
    """The chosen network at the recipe's stride, or at its own where it cannot be dilated."""
    from dait.models.network import build_network

    spec, _ = at_a_stride_it_takes(
        name, stride, lambda spec: build_network(spec, num_classes=2, image_size=size)
    )
    return spec
