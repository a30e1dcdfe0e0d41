from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from dait.data.fieldguide import world as world_module
from dait.data.fieldguide.world import (
    PARTS,
    is_species,
    load_world,
    random_attributes,
    random_family,
)


def test_forty_species_in_eight_families_of_five() -> None:
    species = load_world().species
    assert len(species) == 40
    assert len({bird.key for bird in species}) == len({bird.name for bird in species}) == 40
    assert Counter(Counter(bird.family for bird in species).values()) == {5: 8}
    # Five neighbours are a family: labels, and so habitats, rely on it.
    assert all(len({bird.family for bird in species[i : i + 5]}) == 1 for i in range(0, 40, 5))


def test_at_least_ten_part_attributes_that_the_world_names_completely() -> None:
    world = load_world()
    varying_parts = {name for name in world.attributes if name != "shape"}
    assert len(varying_parts) >= 10
    for name, attribute in world.attributes.items():
        assert attribute.part in PARTS or name == "shape"
        assert len(attribute.values) >= 2
        assert len(set(attribute.phrases.values())) == len(attribute.values)
    for bird in world.species:
        assert bird.attributes.keys() == world.attributes.keys()
        for name, value in bird.attributes.items():
            assert value in world.attributes[name].values, (bird.name, name)


def test_species_of_a_family_differ_in_two_or_three_attributes() -> None:
    world = load_world()
    distances = []
    for a, b in itertools.combinations(world.species, 2):
        differing = {name for name in world.attributes if a.attributes[name] != b.attributes[name]}
        assert differing, (a.name, b.name)
        if a.family == b.family:
            distances.append(len(differing))
            assert differing <= set(world.varying[a.family])
    assert len(distances) == 8 * 10 and set(distances) == {2, 3}


@pytest.mark.parametrize("differing", [1, 2, 3, 4, 5])
def test_the_least_difference_within_a_family_is_a_choice(differing: int) -> None:
    world = load_world(differing)
    assert [bird.name for bird in world.species] == [bird.name for bird in load_world().species]
    assert len({tuple(bird.attributes.items()) for bird in world.species}) == 40
    distances = [
        sum(a.attributes[name] != b.attributes[name] for name in world.attributes)
        for a, b in itertools.combinations(world.species, 2)
        if a.family == b.family
    ]
    assert min(distances) == differing and max(distances) == differing + 1
    for bird in world.species:
        for name, value in bird.attributes.items():
            assert value in world.attributes[name].values


def test_a_guide_of_no_or_too_many_differences_is_refused() -> None:
    for differing in (0, 6):
        with pytest.raises(ValueError, match="1 to 5"):
            load_world(differing)


def test_an_invented_family_differs_in_its_marks_and_is_no_species() -> None:
    rng = np.random.default_rng(3)
    world = load_world()
    for _ in range(30):
        members, marks = random_family(8, rng)
        assert len(members) == 8 and len(set(marks)) == 3 and "shape" not in marks
        assert len({tuple(table.items()) for table in members}) == 8
        for name in world.attributes:
            shared = {table[name] for table in members}
            assert name in marks or len(shared) == 1
        assert not any(is_species(table) for table in members)
    with pytest.raises(ValueError, match="too few"):
        random_family(8, rng, marks=1)


def test_every_species_of_every_guide_is_held_out() -> None:
    for differing in range(1, 6):
        assert all(is_species(bird.attributes) for bird in load_world(differing).species)


def test_random_birds_are_any_bird_but_the_forty() -> None:
    rng = np.random.default_rng(0)
    tables = [random_attributes(rng) for _ in range(400)]
    world = load_world()
    held_out = [bird.attributes for bird in world.species]
    assert not any(table in held_out for table in tables)
    for name, attribute in world.attributes.items():
        assert {table[name] for table in tables} == set(attribute.values)


def test_a_random_bird_that_is_a_species_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the whole world's birds one in a million is a species; of these two birds every second.
    attribute = world_module.Attribute("crown", "crown", {"black": "black", "white": "white"})
    species = world_module.Species("a", "A", "F", {"crown": "black"})
    small = world_module.BirdWorld({}, {"crown": attribute}, {}, (species,), {})
    monkeypatch.setattr(world_module, "load_world", lambda differing=2: small)
    world_module._taken.cache_clear()
    rng = np.random.default_rng(0)
    try:
        assert [random_attributes(rng) for _ in range(20)] == [{"crown": "white"}] * 20
    finally:
        world_module._taken.cache_clear()
