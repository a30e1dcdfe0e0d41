"""The configuration of a study: typed sections, bounds, defaults, and recipes that come along."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dait.data.base import ViewKind
from dait.errors import UserError
from dait.models.spec import NetworkSpec
from dait.teachers.prompts import Prompts

Arm = Literal["independent", "direct", "dait"]
ARMS: tuple[Arm, ...] = get_args(Arm)


OWN_FOLDER = "PATH-OF-YOUR-FOLDER"
"""What a recipe for anybody's photographs has for a source, until they name their folder."""


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, values cannot be changed after checking."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataConfig(Section):
    """Which images, at which size, and how they are split."""

    source: str = Field("fieldguide", description="A data set's name, or the path of a folder")
    size: int = Field(96, ge=32, le=512, description="Side of the square images, in pixels")
    seed: int = Field(0, ge=0, le=2**31, description="Field Guide: which world is drawn")
    habitat_bias: float = Field(
        0.7, ge=0, le=1, description="Field Guide: chance that a training image is in its habitat"
    )
    train_per_class: int = Field(30, ge=1, le=5000, description="Field Guide: training images")
    val_per_class: int = Field(8, ge=1, le=1000, description="Field Guide: validation images")
    test_per_class: int = Field(25, ge=1, le=1000, description="Field Guide: test images")
    species: int = Field(40, ge=2, le=40, description="Field Guide: number of species")
    differing: int = Field(
        2, ge=1, le=5, description="Field Guide: attributes that differ within a family, at least"
    )
    label_noise: float = Field(
        0.0, ge=0, le=0.9, description="Field Guide: share of training images labelled wrongly"
    )
    long_tail: float = Field(
        1.0, ge=1, le=1000, description="Field Guide: the commonest species' images to the rarest's"
    )
    val_fraction: float = Field(
        0.1, gt=0, le=0.5, description="Folders without a validation split: share held out"
    )


class TeacherConfig(Section):
    """The frozen teacher."""

    name: str = Field(
        "fieldguide-clip",
        description="fieldguide-clip, openclip:MODEL/TAG, openclip-local:FOLDER, imagenet-lite0 "
        "or timm:NAME",
    )
    image_size: int | None = Field(
        None,
        ge=32,
        le=512,
        description="Side in pixels at which a timm teacher sees the images; empty: its own",
    )
    templates: tuple[str, ...] = Field(
        (), description="Sentences with {} for a class's name, or openai or simple for CLIP's own"
    )
    descriptions: dict[str, tuple[str, ...]] = Field(
        {}, description="A class's key to sentences about it, instead of the data set's own"
    )

    @property
    def prompts(self) -> Prompts:
        """What a teacher that reads is told of the classes."""
        return Prompts(self.templates, self.descriptions)

    @model_validator(mode="after")
    def _sentences_will_do(self) -> TeacherConfig:
        try:
            _ = self.prompts
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


class ViewsConfig(Section):
    """The augmented views that a network and the frozen teacher share."""

    kind: ViewKind = Field("full", description="Augmentation of independent, direct and stage 1")
    distinct: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Different views of an image; epochs go round them. 0: a new one every epoch",
    )
    cache: bool = Field(
        True,
        description="Keep the frozen teacher's embeddings of the views on disk; false: it looks at "
        "every batch of every epoch itself",
    )

    def count(self, epochs: int) -> int:
        """Different views of an image that this many epochs show."""
        return min(self.distinct, epochs) if self.distinct else epochs


class TrainConfig(Section):
    """How every network is trained, the same for all arms."""

    epochs: int = Field(30, ge=1, le=2000, description="Passes over the training images")
    batch_size: int = Field(64, ge=2, le=4096, description="Images per optimiser step")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="Optimiser")
    learning_rate: float = Field(2e-3, gt=0, le=10, description="Peak learning rate")
    weight_decay: float = Field(0.05, ge=0, le=1, description="Weight decay of matrices")
    warmup_epochs: float = Field(2, ge=0, le=100, description="Epochs of linear warm-up")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Label smoothing")
    gradient_clip: float = Field(5.0, gt=0, le=1e6, description="Largest gradient norm")


class DirectConfig(Section):
    """Direct distillation: CE + λ_f (1 − cos) + λ_k τ² KL to the zero-shot logits."""

    feature_weight: float = Field(2.0, ge=0, le=1000, description="λ_f, pooled cosine")
    logit_weight: float = Field(1.0, ge=0, le=1000, description="λ_k, zero-shot logits")
    temperature: float = Field(2.0, gt=0, le=100, description="τ of the logits")


class DaitConfig(Section):
    """Both stages of DAIT."""

    stage1_epochs: int | None = Field(
        None, ge=1, le=2000, description="Epochs of stage 1; empty: as many as the student's"
    )
    representation_weight: float = Field(1.0, ge=0, le=1000, description="α, stage 1")
    semantic_weight: float = Field(1.0, ge=0, le=1000, description="β, stage 1")
    temperature: float = Field(2.0, gt=0, le=100, description="τ of both stages' logits")
    spatial_weight: float = Field(5.0, ge=0, le=1000, description="λ, stage 2, feature maps")
    pooled_weight: float = Field(0.0, ge=0, le=1000, description="μ, stage 2, pooled vectors")
    logit_weight: float = Field(0.0, ge=0, le=1000, description="ν, stage 2, teacher's logits")
    views: ViewKind = Field("light", description="Augmentation of stage 2")


class Recipe(Section):
    """Everything that defines a study except its arms, seeds and place."""

    name: str = Field("custom", pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")
    title: str = Field("", description="One line for people")
    expected: str = Field("", description="Time and accuracy to expect, with where it was measured")
    data: DataConfig = DataConfig()
    teacher: TeacherConfig = TeacherConfig()
    intermediate: NetworkSpec = NetworkSpec(name="resnet10t")
    student: NetworkSpec = NetworkSpec(name="resnet10t")
    views: ViewsConfig = ViewsConfig()
    train: TrainConfig = TrainConfig()
    direct: DirectConfig = DirectConfig()
    dait: DaitConfig = DaitConfig()

    def to_yaml(self) -> str:
        """The whole recipe with every default filled in."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)

    def changed(self, changes: Mapping[str, Any]) -> Recipe:
        """A copy with dotted keys replaced: ``{"train.epochs": 2}``. Raises UserError."""
        plain: dict[str, Any] = self.model_dump()
        for dotted, value in changes.items():
            *path, last = dotted.split(".")
            section = plain
            for depth, key in enumerate(path, start=1):
                if key not in section:
                    raise _unknown(dotted, section, key)
                if not isinstance(section[key], dict):
                    value = ".".join(path[:depth])
                    raise UserError(f"{dotted}: {value} is a value and has no keys; set {value}.")
                section = section[key]
            # The options of a network are free; every other key must be there already.
            if last not in section and path[-1:] != ["options"]:
                raise _unknown(dotted, section, last)
            section[last] = value
        return parse_recipe(plain, self.name)


def parse_recipe(raw: Any, where: str) -> Recipe:
    """Check a mapping. Raises UserError with one line for every fault and near matches."""
    if not isinstance(raw, dict):
        raise UserError(
            f"{where} is not a recipe: it should be sections such as `data:`, `train:`."
        )
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        lines = [_sentence(fault) for fault in error.errors()]
        raise UserError(f"The recipe {where} cannot be used:\n  " + "\n  ".join(lines)) from None


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe that comes along, by name, or one from a YAML file. Raises UserError."""
    if name_or_path in recipe_names():
        text = files("dait.recipes").joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return _from_yaml(text, name_or_path)
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        near = difflib.get_close_matches(name_or_path, recipe_names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"There is no recipe called {name_or_path!r}.{hint} "
            f"Known: {', '.join(recipe_names())}; or give the path of a .yaml file."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The recipe {path} cannot be read: {error}.") from None
    return _from_yaml(text, str(path))


def recipe_names() -> list[str]:
    """The recipes that come along."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("dait.recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def _from_yaml(text: str, where: str) -> Recipe:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"The recipe {where} is not valid YAML: {error}") from None
    return parse_recipe(raw, where)


def _sentence(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        *path, key = fault["loc"]
        known = _keys(tuple(path))
        near = difflib.get_close_matches(str(key), known, n=2)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return f"{place}: unknown key.{hint} Known here: {', '.join(known)}."
    if fault["type"] == "value_error":  # a check of our own, which says what it found
        return f"{place}: {fault['ctx']['error']}"
    found = fault.get("input")
    return f"{place}: found {found!r}. {fault['msg']}."


def _keys(path: tuple[Any, ...]) -> list[str]:
    model: Any = Recipe
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _unknown(dotted: str, section: Mapping[str, Any], key: str) -> UserError:
    near = difflib.get_close_matches(key, list(section), n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return UserError(f"{dotted}: unknown key {key!r}.{hint} Known here: {', '.join(section)}.")
