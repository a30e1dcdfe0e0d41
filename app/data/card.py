"""The Field Guide's gallery, and what tells two of its species apart, as HTML."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from app.ui.pictures import picture_address
from app.ui.wording import escape

if TYPE_CHECKING:
    from dait.data.fieldguide.card import Card, CloseUp
    from dait.data.fieldguide.world import Species


def species_choices() -> list[tuple[str, str]]:
    """(name, key) of every species."""
    from dait.data.fieldguide.world import load_world

    return [(species.name, species.key) for species in load_world().species]


@lru_cache(maxsize=1)
def gallery_html() -> str:
    """Every species once, family by family; a picture is pressed to choose it."""
    from dait.data.fieldguide.card import species_gallery

    parts = []
    for family, members in groupby(species_gallery(), key=lambda pair: pair[0].family):
        buttons = "".join(
            f'<button type="button" data-key="{escape(species.key)}" '
            f'aria-label="Compare {escape(species.name)}">'
            f'<img src="{picture_address(image)}" alt="">'
            f"<span>{escape(species.name)}</span></button>"
            for species, image in members
        )
        parts.append(
            f'<section><h4>{escape(family)}</h4><div class="ds-gallery whole">{buttons}</div>'
            "</section>"
        )
    return f'<div class="ds-families">{"".join(parts)}</div>'


@lru_cache(maxsize=32)
def card_html(first: str, second: str) -> str:
    """Two species by their keys. Raises ``UserError`` for unknown ones, and for one twice."""
    from dait.data.fieldguide.card import compare_species

    card = compare_species(first, second)
    one, other = card.species
    count = len(card.close_ups)
    kinship = (
        f"Both are of the family {one.family}."
        if one.family == other.family
        else f"{one.name} is a {one.family}, {other.name} a {other.family}."
    )
    ways = "1 attribute" if count == 1 else f"{count} attributes"
    rows = "".join(_row(close_up, card) for close_up in card.close_ups)
    return (
        f'<p class="ds-hint">{escape(kinship)} They differ in {ways}.</p>'
        f'<div class="ds-two">{_portrait(card, 0)}{_portrait(card, 1)}</div>'
        f'<div class="ds-differences">{rows}</div>'
    )


def _portrait(card: Card, place: int) -> str:
    species = card.species[place]
    said = ", ".join(
        (close_up.difference.first, close_up.difference.second)[place]
        for close_up in card.close_ups
    )
    alt = f"{species.name}: {said}"
    return (
        f'<figure><img src="{picture_address(card.pictures[place])}" alt="{escape(alt)}">'
        f"<figcaption>{escape(species.name)}</figcaption></figure>"
    )


def _row(close_up: CloseUp, card: Card) -> str:
    difference = close_up.difference
    cells = "".join(
        _close_up(picture, phrase, species)
        for picture, phrase, species in (
            (close_up.first, difference.first, card.species[0]),
            (close_up.second, difference.second, card.species[1]),
        )
    )
    name = "Shape" if difference.part == "body" else difference.attribute.capitalize()
    return f'<div class="ds-difference"><h4>{escape(name)}</h4>{cells}</div>'


def _close_up(picture: object, phrase: str, species: Species) -> str:
    import numpy as np

    image = '<div class="ds-hidden-part">hidden in this pose</div>'
    if isinstance(picture, np.ndarray):
        alt = f"{species.name}: {phrase}"
        image = f'<img src="{picture_address(picture)}" alt="{escape(alt)}">'
    return f"<figure>{image}<figcaption>{escape(phrase)}</figcaption></figure>"
