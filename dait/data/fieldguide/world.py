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
class World:
    """Everything that can be drawn."""

    palette: dict[str, Colour]
    attributes: dict[str, Attribute]
    habitats: dict[str, str]
    species: tuple[Species, ...]
    varying: dict[str, tuple[str, ...]]
    """Family to the attributes that tell its species apart."""


@cache
def load_world() -> World:
    """The world of ``species.yaml``."""
    text = files("dait.data.fieldguide").joinpath("species.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    attributes = {
        name: Attribute(name, entry["part"], dict(entry["values"]))
        for name, entry in raw["attributes"].items()
    }
    species = []
    for family in raw["families"].values():
        for name, code in zip(family["species"], raw["codes"], strict=True):
            table = dict(family["base"])
            for (attribute, values), choice in zip(family["varies"].items(), code, strict=True):
                table[attribute] = values[choice]
            species.append(
                Species(name.lower().replace(" ", "-"), name, family["name"], table),
            )
    return World(
        palette={name: (rgb[0], rgb[1], rgb[2]) for name, rgb in raw["palette"].items()},
        attributes=attributes,
        habitats=dict(raw["habitats"]),
        species=tuple(species),
        varying={f["name"]: tuple(f["varies"]) for f in raw["families"].values()},
    )


def random_attributes(rng: np.random.Generator) -> Attributes:
    """A bird with every attribute drawn at random, never one of the forty species."""
    world = load_world()
    while True:
        table = {
            name: str(rng.choice(attribute.values)) for name, attribute in world.attributes.items()
        }
        if all(table != species.attributes for species in world.species):
            return table
