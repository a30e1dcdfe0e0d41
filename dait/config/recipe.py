"""The configuration of a study as a whole, and the bundled recipes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import yaml
from pydantic import Field, ValidationError

from dait.config.arms import (
    DaitConfig,
    DhoConfig,
    DirectConfig,
    KdConfig,
    TakdConfig,
    Vl2LiteConfig,
)
from dait.config.inputs import DataConfig, TeacherConfig, ViewsConfig
from dait.config.section import Section
from dait.config.train import TrainConfig
from dait.errors import UserError
from dait.models.spec import NetworkSpec
from dait.storage.files import parse_yaml, read_bytes

OWN_FOLDER = "PATH-OF-YOUR-FOLDER"
"""What a recipe for anybody's photographs has for a source, until they name their folder."""

RENAMED = {"quick": "photos"}
"""Bundled recipes of earlier versions, and what stands in their place."""

LONGEST_TEXT = 500_000
"""Characters of a recipe that somebody sent; descriptions of many classes are long."""


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
    vl2lite: Vl2LiteConfig = Vl2LiteConfig()
    kd: KdConfig = KdConfig()
    takd: TakdConfig = TakdConfig()
    dho: DhoConfig = DhoConfig()
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
    """A bundled recipe, by name, or one from a YAML file. Raises UserError.

    A recipe may begin with ``extends: NAME`` (or the path of a file beside it) and then holds only
    what differs from that one. A network (``student``, ``intermediate``) is replaced as a whole.
    """
    return parse_recipe(_read(name_or_path, ()), name_or_path)


def recipe_from_text(text: str, where: str) -> Recipe:
    """A recipe in YAML that somebody sent, called ``where``. Raises UserError.

    As ``load_recipe``, but no file is read for it: it extends only bundled recipes. YAML's
    aliases are refused: a few lines of them stand for gigabytes.
    """
    if len(text) > LONGEST_TEXT:
        raise UserError(
            f"{where} has {len(text):,} characters; a recipe has at most {LONGEST_TEXT:,}."
        )
    try:
        raw = parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{where} is not valid YAML ({error}).") from None
    if isinstance(raw, dict) and "extends" in raw:
        base = raw.pop("extends")
        if base not in recipe_names():
            raise UserError(
                f"{where} extends {str(base)[:80]!r}, which is no bundled recipe. Known: "
                f"{', '.join(recipe_names())}."
            )
        raw = _merged(_read(base, ()), raw)
    return parse_recipe(raw, where)


def recipe_names() -> list[str]:
    """The bundled recipes."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("dait.config.recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def _read(name_or_path: str, extended: tuple[str, ...]) -> Any:
    """The mapping of a recipe, with what it extends filled in; ``extended``: by whom, so far."""
    if name_or_path in extended:
        raise UserError(f"The recipe {name_or_path} extends itself: {' → '.join(extended)}.")
    raw = _plain(name_or_path)
    if not isinstance(raw, dict) or "extends" not in raw:
        return raw
    base = str(raw.pop("extends"))
    if base not in recipe_names():
        base = str(Path(name_or_path).parent / base)
    return _merged(_read(base, (*extended, name_or_path)), raw)


def _plain(name_or_path: str) -> Any:
    """What the file of a recipe holds."""
    if name_or_path in recipe_names():
        own = files("dait.config.recipes").joinpath(f"{name_or_path}.yaml")
        return yaml.safe_load(own.read_text(encoding="utf-8"))
    try:
        return parse_yaml(_text(Path(name_or_path)), aliases=True)
    except ValueError as error:
        raise UserError(f"The recipe {name_or_path} is not valid YAML ({error}).") from None


def _text(path: Path) -> str:
    if path.name in RENAMED:
        now = RENAMED[path.name]
        raise UserError(f"The recipe {path.name} is called {now} now. Give that name.")
    if path.suffix not in (".yaml", ".yml"):
        near = difflib.get_close_matches(str(path), recipe_names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"There is no recipe called {str(path)!r}.{hint} "
            f"Known: {', '.join(recipe_names())}; or give the path of a .yaml file."
        )
    try:
        return read_bytes(path).decode()
    except (OSError, ValueError) as error:
        raise UserError(f"The recipe {path} cannot be read: {error}.") from None


def _merged(base: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` over ``base``, section by section; neither is altered."""
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in changes.items():
        section = merged.get(key)
        is_network = isinstance(value, dict) and "name" in value
        if isinstance(section, dict) and isinstance(value, dict) and not is_network:
            merged[key] = {**section, **value}
        else:
            merged[key] = value
    return merged


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
        # A section that may be left out: `NetworkSpec | None`.
        model = next((kind for kind in get_args(model) if kind is not NoneType), model)
    return list(model.model_fields)


def _unknown(dotted: str, section: Mapping[str, Any], key: str) -> UserError:
    near = difflib.get_close_matches(key, list(section), n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return UserError(f"{dotted}: unknown key {key!r}.{hint} Known here: {', '.join(section)}.")
