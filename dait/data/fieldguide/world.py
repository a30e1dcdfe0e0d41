"""The attributes, habitats and species of the Field Guide, read from ``species.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

Attributes = dict[str, str]
Colour = tuple[int, int, int]

PARTS = (
    "tail",
    "legs",
    "belly",
    "back",
    "breast",
    "throat",
    "head",
    "crown",
    "bill",
    "eye",
    "wing",
)
"""Part ``k`` of a mask (``k`` > 0) is ``PARTS[k - 1]``."""


@dataclass(frozen=True)
class Attribute:
    """One thing that varies on a bird: the part that shows it and a phrase for each value.

    ``part`` is one of ``PARTS``, or ``body`` for the shape, which all parts together show.
    """

    name: str
    part: str
    phrases: dict[str, str]

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self.phrases)


@dataclass(frozen=True)
class Species:
    """A species: its key, name, family and complete attribute table."""

    key: str
    name: str
    family: str
    attributes: Attributes


@dataclass(frozen=True)
class BirdWorld:
    """Everything that can be drawn."""

    palette: dict[str, Colour]
    attributes: dict[str, Attribute]
    habitats: dict[str, str]
    species: tuple[Species, ...]
    varying: dict[str, tuple[str, ...]]
    """Family to the attributes that tell its species apart."""


MOST_DIFFERING = 5


@cache
def load_world(differing: int = 2) -> BirdWorld:
    """The world of ``species.yaml``.

    differing: the least number of attributes in which two species of a family differ, 1 to
    ``MOST_DIFFERING``. Above 2 each species also gets its own value of ``differing - 2`` attributes
    that are the same for the whole family in the file.
    """
    if not 1 <= differing <= MOST_DIFFERING:
        raise ValueError(f"differing is 1 to {MOST_DIFFERING}, not {differing}")
    text = files("dait.data.fieldguide").joinpath("species.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    attributes = {
        name: Attribute(name, entry["part"], dict(entry["values"]))
        for name, entry in raw["attributes"].items()
    }
    species, varying = [], {}
    codes = raw["codes"][min(differing, 2)]
    for family in raw["families"].values():
        # Five values or more: enough for five species that all differ.
        spare = [
            name
            for name, attribute in attributes.items()
            if len(attribute.values) >= len(codes) and name not in family["varies"]
        ][: max(0, differing - 2)]
        varying[family["name"]] = (*family["varies"], *spare)
        for number, (name, code) in enumerate(zip(family["species"], codes, strict=True)):
            table = dict(family["base"])
            for (attribute, values), choice in zip(family["varies"].items(), code, strict=True):
                table[attribute] = values[choice]
            for extra in spare:
                values = attributes[extra].values
                first = values.index(table[extra])
                table[extra] = values[(first + number) % len(values)]
            species.append(
                Species(name.lower().replace(" ", "-"), name, family["name"], table),
            )
    return BirdWorld(
        palette={name: (rgb[0], rgb[1], rgb[2]) for name, rgb in raw["palette"].items()},
        attributes=attributes,
        habitats=dict(raw["habitats"]),
        species=tuple(species),
        varying=varying,
    )


@cache
def _taken() -> frozenset[tuple[tuple[str, str], ...]]:
    """The tables of all species of all guides, easy and hard."""
    worlds = [load_world(differing) for differing in range(1, MOST_DIFFERING + 1)]
    return frozenset(
        tuple(sorted(species.attributes.items())) for world in worlds for species in world.species
    )


def is_species(table: Attributes) -> bool:
    """Whether a bird is one of the forty species, of any difficulty."""
    return tuple(sorted(table.items())) in _taken()


def random_attributes(rng: np.random.Generator) -> Attributes:
    """A bird with every attribute drawn at random, never one of the forty species."""
    world = load_world()
    while True:
        table = {
            name: str(rng.choice(attribute.values)) for name, attribute in world.attributes.items()
        }
        if not is_species(table):
            return table


def random_family(
    count: int, rng: np.random.Generator, marks: int = 3
) -> tuple[list[Attributes], tuple[str, ...]]:
    """``count`` birds that differ in ``marks`` attributes only, and the names of these.

    An invented family, to learn from what tells close relatives apart; none of its members is one
    of the forty species, no two are the same.
    """
    world = load_world()
    names = [name for name in world.attributes if name != "shape"]
    base = random_attributes(rng)
    varying = tuple(str(name) for name in rng.choice(names, marks, replace=False))
    if count > 4**marks // 2:  # four values each, at least: the family could not be filled
        raise ValueError(f"{marks} attributes are too few to tell {count} birds apart")
    members: list[Attributes] = []
    while len(members) < count:
        table = dict(base)
        for name in varying:
            table[name] = str(rng.choice(world.attributes[name].values))
        if table not in members and not is_species(table):
            members.append(table)
    return members, varying
