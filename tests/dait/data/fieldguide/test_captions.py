from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from dait.data.fieldguide.captions import caption, prompts, web_caption
from dait.data.fieldguide.world import Attributes, load_world, random_attributes

WORLD = load_world()


def named_phrases(sentence: str) -> set[tuple[str, str]]:
    """Every (attribute, value) whose phrase stands in the sentence."""
    return {
        (name, value)
        for name, attribute in WORLD.attributes.items()
        for value, phrase in attribute.phrases.items()
        if re.search(rf"\b{phrase}\b", sentence)
    }


def truth(table: Attributes) -> set[tuple[str, str]]:
    return set(table.items())


def test_a_caption_names_true_attributes_and_the_true_habitat_only() -> None:
    rng = np.random.default_rng(0)
    sizes, shapes = set(), 0
    for k in range(300):
        table = random_attributes(rng)
        habitat = list(WORLD.habitats)[k % 6]
        sentence = caption(table, habitat, rng, least=3, most=9)
        named = named_phrases(sentence)
        assert named <= truth(table), sentence
        assert sentence.endswith(f" in {WORLD.habitats[habitat]}")
        assert sum(phrase in sentence for phrase in WORLD.habitats.values()) == 1
        shapes += table["shape"] in sentence
        sizes.add(len(named - {("shape", table["shape"])}))
    assert sizes == set(range(3, 10))
    table = random_attributes(rng)
    short = caption(table, None, rng, least=1, most=1, marks=("crown", "legs"))
    assert {name for name, _ in named_phrases(short)} - {"shape"} == {"crown", "legs"}
    assert 0.7 < shapes / 300 < 0.9  # four in five, else "bird"


def test_no_habitat_is_named_where_none_is_given() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        sentence = caption(random_attributes(rng), None, rng)
        assert not any(phrase in sentence for phrase in WORLD.habitats.values())


def test_grammar_of_articles_and_lists() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        sentence = caption(random_attributes(rng), None, rng)
        for article, word in pairwise(sentence.split()):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou"), sentence
        assert " a black legs" not in sentence and sentence.count(" and ") == 1


@pytest.mark.parametrize("label", [0, 17, 39])
def test_prompts_cover_every_attribute_and_no_habitat(label: int) -> None:
    bird = WORLD.species[label]
    sentences = prompts(bird.attributes)
    assert len(set(sentences)) == len(sentences) == 12
    named = set().union(*(named_phrases(sentence) for sentence in sentences))
    assert named == truth(bird.attributes)
    text = " ".join(sentences)
    assert not any(phrase in text for phrase in WORLD.habitats.values())
    # The names are invented; a teacher that reads them learns nothing.
    assert bird.family.lower() not in text.lower()


def test_prompts_always_name_the_marks() -> None:
    for bird in WORLD.species[::7]:
        marks = WORLD.varying[bird.family]
        wanted = {(name, bird.attributes[name]) for name in marks}
        for sentence in prompts(bird.attributes, marks):
            assert wanted <= named_phrases(sentence), sentence


def test_every_class_is_described_by_the_same_attributes_in_the_same_order() -> None:
    def skeleton(label: int) -> list[list[str]]:
        result = []
        for sentence in prompts(WORLD.species[label].attributes):
            found = sorted(
                (sentence.index(phrase), name)
                for name, phrase in phrases(label).items()
                if phrase in sentence
            )
            result.append([name for _, name in found if name != "shape"])
        return result

    def phrases(label: int) -> dict[str, str]:
        table = WORLD.species[label].attributes
        return {name: a.phrases[table[name]] for name, a in WORLD.attributes.items()}

    assert skeleton(0) == skeleton(12) == skeleton(33)


def test_a_web_caption_names_what_a_glance_sees_and_no_mark() -> None:
    rng = np.random.default_rng(0)
    sentences = []
    for _ in range(300):
        table = random_attributes(rng)
        sentence = web_caption(table, "marsh", "perched", "bright", rng)
        assert named_phrases(sentence) <= {("shape", table["shape"])}, sentence
        sentences.append((sentence, table["back"]))
    share = {
        words: sum(words in sentence for sentence, _ in sentences) / len(sentences)
        for words in ("perched", "in a marsh", "in bright light")
    }
    assert share == pytest.approx(
        {"perched": 0.8, "in a marsh": 0.8, "in bright light": 0.5}, abs=0.08
    )
    assert 0.4 < sum(f"{back} " in sentence for sentence, back in sentences) / 300 < 0.6
    assert "light" not in web_caption(table, "marsh", "perched", "medium", rng)
