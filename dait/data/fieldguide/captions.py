"""Sentences about a bird: random captions to train a teacher, prompts to describe a species."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dait.data.fieldguide.world import Attributes, load_world

OPENINGS = ("a {}", "a photo of a {}", "a picture of a {}", "one {}", "a wild {}")


_PLURAL = {"legs", "wings", "bars"}


def _with_article(phrase: str) -> str:
    if phrase.split()[-1] in _PLURAL:
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _list(phrases: Sequence[str]) -> str:
    with_article = [_with_article(phrase) for phrase in phrases]
    if len(with_article) == 1:
        return with_article[0]
    return ", ".join(with_article[:-1]) + " and " + with_article[-1]


def caption(
    attributes: Attributes,
    habitat: str | None,
    rng: np.random.Generator,
    least: int = 3,
    most: int = 9,
) -> str:
    """A sentence naming a random subset of the attributes in random order.

    ``least`` to ``most`` attributes besides the shape are named; the shape is named four times in
    five (else "bird"), the habitat whenever it is given.
    """
    world = load_world()
    shape = attributes["shape"] if rng.random() < 0.8 else "bird"
    names = [name for name in world.attributes if name != "shape"]
    count = int(rng.integers(least, most + 1))
    chosen = rng.permutation(len(names))[:count]
    phrases = [world.attributes[names[i]].phrases[attributes[names[i]]] for i in chosen]
    opening = OPENINGS[int(rng.integers(len(OPENINGS)))].format(shape)
    sentence = f"{opening} with {_list(phrases)}"
    if habitat is not None:
        sentence += f" in {world.habitats[habitat]}"
    return sentence


def prompts(attributes: Attributes, count: int = 12, seed: int = 0) -> tuple[str, ...]:
    """``count`` sentences that between them name every attribute, none naming a habitat.

    Each names about two thirds of the attributes, as long training captions do; averaging their
    embeddings covers them all evenly. The same seed is used for every class, so all classes are
    described by the same attributes in the same order.
    """
    rng = np.random.default_rng([seed, 977])
    return tuple(caption(attributes, None, rng, least=7, most=9) for _ in range(count))
