"""The Field Guide's species, and what distinguishes two of them, as HTML."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np

from app.ui.pictures import picture_address
from app.ui.templates import render
from dait.data.fieldguide.card import Card, CloseUp, compare_species, species_gallery
from dait.data.fieldguide.world import load_world


def species_choices() -> list[tuple[str, str]]:
    """(name, key) of every species."""
    return [(species.name, species.key) for species in load_world().species]


@lru_cache(maxsize=1)
def gallery_html() -> str:
    """Every species once, by family; press a picture to choose it."""
    families = [
        (
            family,
            [
                {"key": bird.key, "name": bird.name, "address": picture_address(image)}
                for bird, image in members
            ],
        )
        for family, members in groupby(species_gallery(), key=lambda pair: pair[0].family)
    ]
    return render("species_gallery", families=families)


@lru_cache(maxsize=32)
def card_html(first: str, second: str) -> str:
    """Two species by their keys. Raises ``UserError`` for unknown ones, and for one twice."""
    card = compare_species(first, second)
    one, other = card.species
    kinship = (
        f"Both are of the family {one.family}."
        if one.family == other.family
        else f"{one.name} is a {one.family}, {other.name} a {other.family}."
    )
    birds = [
        {
            "name": species.name,
            "address": picture_address(picture),
            "attributes": [
                (close_up.difference.first, close_up.difference.second)[position]
                for close_up in card.close_ups
            ],
        }
        for position, (species, picture) in enumerate(zip(card.species, card.pictures, strict=True))
    ]
    rows = [_difference(close_up, card) for close_up in card.close_ups]
    return render("species_pair", kinship=kinship, birds=birds, differences=rows)


def _difference(close_up: CloseUp, card: Card) -> dict[str, Any]:
    difference = close_up.difference
    parts = [
        {"bird": species.name, "phrase": phrase, "address": _address(picture)}
        for picture, phrase, species in (
            (close_up.first, difference.first, card.species[0]),
            (close_up.second, difference.second, card.species[1]),
        )
    ]
    name = "Shape" if difference.part == "body" else difference.attribute.capitalize()
    return {"name": name, "parts": parts}


def _address(picture: object) -> str | None:
    """None where the part is hidden in the pose."""
    return picture_address(picture) if isinstance(picture, np.ndarray) else None
