"""Sentences about a bird: random captions to train a teacher, prompts to describe a species."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dait.data.fieldguide.world import Attributes, load_world

OPENINGS = ("a {}", "a photo of a {}", "a picture of a {}", "one {}", "a wild {}")


IN_LIGHT = {"dim": "in dim light", "medium": "", "bright": "in bright light"}
"""How a web caption names the light; the usual one is not worth a word."""

_PLURAL = {"legs", "wings", "bars"}


def with_article(phrase: str) -> str:
    """``red crown`` → ``a red crown``; ``black legs`` stays as it is."""
    if phrase.split()[-1] in _PLURAL:
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _list(phrases: Sequence[str]) -> str:
    named = [with_article(phrase) for phrase in phrases]
    if len(named) == 1:
        return named[0]
    return ", ".join(named[:-1]) + " and " + named[-1]


def caption(
    attributes: Attributes,
    habitat: str | None,
    rng: np.random.Generator,
    least: int = 3,
    most: int = 9,
    marks: Sequence[str] = (),
) -> str:
    """A sentence naming a random subset of the attributes in random order.

    ``least`` to ``most`` attributes besides the shape are named, ``marks`` always among them; the
    shape is named four times in five (else "bird"), the habitat whenever it is given.
    """
    world = load_world()
    shape = attributes["shape"] if rng.random() < 0.8 else "bird"
    others = [name for name in world.attributes if name != "shape" and name not in marks]
    count = max(0, int(rng.integers(least, most + 1)) - len(marks))
    named = [*marks, *(others[i] for i in rng.permutation(len(others))[:count])]
    phrases = [
        world.attributes[name].phrases[attributes[name]]
        for name in (named[i] for i in rng.permutation(len(named)))
    ]
    opening = OPENINGS[int(rng.integers(len(OPENINGS)))].format(shape)
    sentence = f"{opening} with {_list(phrases)}"
    if habitat is not None:
        sentence += f" in {world.habitats[habitat]}"
    return sentence


def web_caption(
    attributes: Attributes, habitat: str, pose: str, light: str, rng: np.random.Generator
) -> str:
    """A sentence as photographs have them on the web: what a glance sees, and no single mark.

    Each of these is named independently: the shape (else "bird") with probability 0.8, the colour
    of the back 0.5, the pose 0.8, the habitat 0.8 and the light 0.5.
    """
    shape, colour, posed, placed, lit = rng.random(5) < (0.8, 0.5, 0.8, 0.8, 0.5)
    noun = attributes["shape"] if shape else "bird"
    if colour:
        noun = f"{attributes['back']} {noun}"
    opening = OPENINGS[int(rng.integers(len(OPENINGS)))].format(noun)
    parts = [
        pose if posed else "",
        f"in {load_world().habitats[habitat]}" if placed else "",
        IN_LIGHT[light] if lit else "",
    ]
    return " ".join([opening, *(part for part in parts if part)])


def prompts(
    attributes: Attributes, marks: Sequence[str] = (), count: int = 12, seed: int = 0
) -> tuple[str, ...]:
    """``count`` sentences that between them name every attribute, none naming a habitat.

    Each names about two thirds of the attributes, as long training captions do, and always the
    ``marks`` (what tells a species from its family, which is what a field guide's text is for).
    The same seed is used for every class, so a family's species are described by the same
    attributes in the same order.
    """
    rng = np.random.default_rng([seed, 977])
    return tuple(caption(attributes, None, rng, least=6, most=8, marks=marks) for _ in range(count))
