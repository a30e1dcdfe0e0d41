"""New birds: true captions, never a species, never one that the teacher was trained on."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest

from dait.data.fieldguide import invented
from dait.data.fieldguide.dataset import SPLIT_NUMBERS
from dait.data.fieldguide.light import LIGHTS
from dait.data.fieldguide.plan import PoseName
from dait.data.fieldguide.world import is_species, load_world
from dait.evidence.probes.new_birds import NAMED, NEW_BIRDS_STREAM, NewBirds, new_birds
from pretraining import teacher as pretrain

SIZE = 32


@pytest.fixture(scope="module")
def drawn() -> NewBirds:
    return new_birds(SIZE, 12)


def table(birds: NewBirds, index: int) -> dict[str, str]:
    world = load_world()
    row = zip(world.attributes.items(), birds.tables[index], strict=True)
    return {name: attribute.values[value] for (name, attribute), value in row}


def test_the_stream_is_nobody_elses() -> None:
    taken = {invented.POOL_STREAM, pretrain.ORDER_STREAM, pretrain.WORDS_STREAM}
    assert NEW_BIRDS_STREAM not in taken | set(SPLIT_NUMBERS.values())


def test_a_caption_says_what_is_drawn_and_names_what_is_marked(drawn: NewBirds) -> None:
    world = load_world()
    names = list(world.attributes)
    for index, sentence in enumerate(drawn.captions):
        truth = table(drawn, index)
        for name, named in zip(names, drawn.named[index], strict=True):
            phrase = world.attributes[name].phrases[truth[name]]
            assert (phrase in sentence) == named, (sentence, name)
        others = drawn.named[index][[name != "shape" for name in names]]
        assert others.sum() == NAMED
        assert sentence.endswith(f"in {world.habitats[str(drawn.habitats[index])]}")
        assert not is_species(truth)


def test_a_bird_does_not_depend_on_how_many_are_drawn(drawn: NewBirds) -> None:
    fewer = new_birds(SIZE, 3)
    assert np.array_equal(fewer.images, drawn.images[:3])
    assert fewer.captions == drawn.captions[:3]
    assert new_birds(SIZE, 3, seed=1).captions != fewer.captions


def test_captions_that_fit_two_birds_are_counted(drawn: NewBirds) -> None:
    assert drawn.unambiguous() == 1.0
    twins = dataclasses.replace(
        drawn,
        tables=np.concatenate([drawn.tables[:11], drawn.tables[:1]]),
        named=np.concatenate([drawn.named[:11], drawn.named[:1]]),
        habitats=np.concatenate([drawn.habitats[:11], drawn.habitats[:1]]),
    )
    assert twins.unambiguous() == pytest.approx(10 / 12)


def test_as_a_split_it_keeps_order_and_slices(drawn: NewBirds) -> None:
    split = drawn.split
    assert len(split) == len(drawn) == len(set(split.ids))
    assert np.array_equal(split.slices["habitat"], drawn.habitats)
    assert set(split.slices["pose"].tolist()) <= set(get_args(PoseName))
    assert set(split.slices["light"].tolist()) <= set(LIGHTS)


@pytest.mark.slow
def test_the_light_is_that_of_the_image() -> None:
    many = new_birds(SIZE, 60)
    means = [many.images[many.lights == name].mean() for name in LIGHTS]
    assert means == sorted(means)
    fewer = new_birds(SIZE, 12)
    assert np.array_equal(fewer.lights, many.lights[:12])
