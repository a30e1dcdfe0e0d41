"""The card of two species: it names and shows exactly what differs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dait.data.fieldguide.card import (
    CLOSE_UP,
    PORTRAIT,
    compare_species,
    differences,
    species_gallery,
    species_of,
)
from dait.data.fieldguide.world import load_world
from dait.errors import UserError

SPECIES = load_world().species
FAMILY = [species for species in SPECIES if species.family == SPECIES[0].family]


@pytest.mark.parametrize(("one", "other"), list(combinations(FAMILY, 2)))
def test_differences_are_the_attributes_that_differ(one: object, other: object) -> None:
    found = differences(one, other)  # type: ignore[arg-type]
    assert 2 <= len(found) <= 3
    attributes = load_world().attributes
    for name, attribute in attributes.items():
        mine, theirs = one.attributes[name], other.attributes[name]  # type: ignore[attr-defined]
        said = [d for d in found if d.attribute == name]
        assert len(said) == (mine != theirs)
        for difference in said:
            assert (difference.first, difference.second) == (
                attribute.phrases[mine],
                attribute.phrases[theirs],
            )
            assert difference.part == attribute.part


def test_a_card_shows_what_differs_and_nothing_else() -> None:
    card = compare_species(FAMILY[0].key, FAMILY[1].key)
    assert [d.difference for d in card.close_ups] == list(differences(FAMILY[0], FAMILY[1]))
    for close_up in card.close_ups:
        assert close_up.first is not None and close_up.second is not None
        assert close_up.first.shape == close_up.second.shape == (CLOSE_UP, CLOSE_UP, 3)
        assert not np.array_equal(close_up.first, close_up.second)
    one, other = (picture.astype(int) for picture in card.pictures)
    assert one.shape == (PORTRAIT, PORTRAIT, 3)
    # One pose before one background: most of both pictures is the same.
    assert (np.abs(one - other).max(axis=2) > 24).mean() < 0.2


def test_birds_of_different_shape_are_each_cut_out_where_they_are() -> None:
    other = next(s for s in SPECIES if s.attributes["shape"] != FAMILY[0].attributes["shape"])
    card = compare_species(FAMILY[0].key, other.key)
    assert "body" in [close_up.difference.part for close_up in card.close_ups]
    assert sum(close_up.first is not None for close_up in card.close_ups) >= 3


def test_a_card_needs_two_known_species() -> None:
    with pytest.raises(UserError, match="one species twice"):
        compare_species(FAMILY[0].key, FAMILY[0].key)
    for key in ("../etc", None, 3):
        with pytest.raises(UserError, match="no such species"):
            species_of(key)


def test_the_gallery_has_every_species_once() -> None:
    gallery = species_gallery(48)
    assert [species for species, _ in gallery] == list(SPECIES)
    assert all(image.shape == (48, 48, 3) and image.dtype == np.uint8 for _, image in gallery)
