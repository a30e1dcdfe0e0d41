"""What is measured with sentences, on embeddings whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dait.data.fieldguide.world import load_world
from dait.evidence.probes.new_birds import NewBirds, new_birds
from dait.evidence.probes.words import (
    attribute_figures,
    attribute_prompts,
    retrieval,
    zero_shot,
)

PHRASES = [
    phrase
    for attribute in load_world().attributes.values()
    for phrase in attribute.phrases.values()
] + list(load_world().habitats.values())


class Oracle:
    """Reads a sentence as the set of phrases in it: one dimension a phrase."""

    def embed_text(self, sentences: list[str]) -> Tensor:
        rows = [[float(phrase in sentence) for phrase in PHRASES] for sentence in sentences]
        return torch.nn.functional.normalize(torch.tensor(rows), dim=1)


@pytest.fixture(scope="module")
def drawn() -> NewBirds:
    return new_birds(32, 12)


def tables(drawn: NewBirds) -> list[dict[str, str]]:
    world = load_world()
    return [
        {
            **{
                name: attribute.values[value]
                for (name, attribute), value in zip(world.attributes.items(), row, strict=True)
            },
            "habitat": str(habitat),
        }
        for row, habitat in zip(drawn.tables, drawn.habitats, strict=True)
    ]


def seen(birds: list[dict[str, str]]) -> Tensor:
    """What the oracle would see of birds: every phrase that is true of them."""
    world = load_world()
    sentences = [
        " ".join(a.phrases[bird[name]] for name, a in world.attributes.items())
        + " "
        + world.habitats[bird["habitat"]]
        for bird in birds
    ]
    return Oracle().embed_text(sentences)


def test_zero_shot_counts_the_best_and_the_best_five() -> None:
    prototypes = torch.eye(6)
    embeddings = torch.eye(6)[[0, 1, 2, 2]] + torch.tensor([6.0, 5, 4, 3, 2, 1]) * 1e-3
    found = zero_shot(embeddings, prototypes, np.array([0, 1, 3, 5]), "test")
    assert (found.top1.value, found.top5.value, found.top1.count) == (0.5, 0.75, 4)
    assert found.top1.low <= 0.5 <= found.top1.high and found.classes == 6


def test_retrieval_counts_ranks_in_both_directions() -> None:
    images = torch.eye(8)
    texts = torch.eye(8)
    texts[0] = torch.tensor([0.5, 1, 0, 0, 0, 0, 0, 0])  # image 0's caption prefers image 1
    found = retrieval(images, texts, 1.0)
    assert found.text_to_image[1].value == 7 / 8 and found.text_to_image[5].value == 1.0
    # Image 1 ties between its own caption and another's: a tie is no success.
    assert found.image_to_text[1].value == 7 / 8


def test_a_model_that_says_the_same_of_everything_retrieves_nothing() -> None:
    same = torch.ones(20, 4) / 2
    found = retrieval(same, same, 1.0)
    assert found.image_to_text[1].value == found.text_to_image[5].value == 0.0


def test_the_oracle_retrieves_captions_and_names_attributes(drawn: NewBirds) -> None:
    birds = tables(drawn)
    embeddings = seen(birds)
    pairs = retrieval(embeddings, Oracle().embed_text(list(drawn.captions)), drawn.unambiguous())
    assert pairs.text_to_image[1].value == pairs.unambiguous == 1.0
    found = attribute_figures(Oracle(), (embeddings, birds), (embeddings, drawn))
    assert [row.name for row in found] == [*load_world().attributes, "habitat"]
    for row in found:
        assert row.species.accuracy.value == row.birds.accuracy.value == 1.0, row.name
        assert row.chance == 1 / row.values
    crown = next(row for row in found if row.name == "crown")
    counts = np.bincount(drawn.tables[:, 2])
    assert crown.birds.majority == pytest.approx(counts.max() / len(drawn))


def test_attributes_of_other_images_are_named_wrongly(drawn: NewBirds) -> None:
    birds = tables(drawn)
    found = attribute_figures(Oracle(), (seen(birds[::-1]), birds), (seen(birds[::-1]), drawn))
    crowns = [bird["crown"] for bird in birds]
    expected = np.mean([own == other for own, other in zip(crowns, crowns[::-1], strict=True)])
    crown = next(row for row in found if row.name == "crown")
    assert crown.species.accuracy.value == crown.birds.accuracy.value == pytest.approx(expected)


def test_one_sentence_for_each_value() -> None:
    world = load_world()
    assert "a bird with a red crown" in attribute_prompts(world.attributes["crown"])
    assert "a bird with black legs" in attribute_prompts(world.attributes["legs"])
    assert "a duck" in attribute_prompts(world.attributes["shape"])
