"""Drawn birds with captions that are in no training set: for measurements alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import numpy as np

from dait.data.base import Split
from dait.data.fieldguide.captions import caption
from dait.data.fieldguide.parallel import in_parallel
from dait.data.fieldguide.scene import RENDERER_VERSION, light_of, render_scene
from dait.data.fieldguide.world import Attributes, load_world, random_attributes
from dait.events import Emit, Progress, ignore
from dait.storage.cache import cache_dir, load_or_build

NEW_BIRDS_STREAM = 21
"""Part of the random seed of every new bird. The data set's splits and labels use 0 to 3 there and
the teacher's training 9 to 11 (``pretraining.teacher``), so no image or caption is shared."""

PAIRS = 1000

NAMED = 7
"""Attributes that a caption names besides the shape: as many as the classes' prompts do on average.
The shape is named four times in five and the habitat always."""


@dataclass(frozen=True)
class NewBirds:
    """N birds, each attribute drawn independently, none of them one of the forty species.

    images: ``(N, S, S, 3)`` uint8; captions: N sentences; named: ``(N, A)`` bool, the attributes
    that each caption names; tables: ``(N, A)`` uint8 indices of the attributes' values, in the
    world's order; habitats, poses, lights: N names each.
    """

    images: np.ndarray
    captions: tuple[str, ...]
    named: np.ndarray
    tables: np.ndarray
    habitats: np.ndarray
    poses: np.ndarray
    lights: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @property
    def split(self) -> Split:
        """The same images as a split; labels are all 0."""
        return Split(
            name="test",
            images=self.images,
            labels=np.zeros(len(self), np.int64),
            ids=tuple(f"new/{index:05d}" for index in range(len(self))),
            slices={"habitat": self.habitats, "pose": self.poses, "light": self.lights},
        )

    def unambiguous(self) -> float:
        """The share of captions that fit no other bird of the set: its named attributes (the shape
        among them) or its habitat differ."""
        alone = 0
        for own in range(len(self)):
            named = self.named[own]
            same = (self.tables[:, named] == self.tables[own, named]).all(axis=1)
            alone += int((same & (self.habitats == self.habitats[own])).sum() == 1)
        return alone / len(self)


def new_birds(size: int, count: int = PAIRS, seed: int = 0, emit: Emit = ignore) -> NewBirds:
    """``count`` new birds at ``size`` pixels, drawn the first time and kept in the cache."""
    facts = [size, count, seed, NAMED, RENDERER_VERSION, version("pillow"), version("numpy")]
    described = repr([*facts, load_world()])
    key = f"new-birds-{hashlib.sha256(described.encode()).hexdigest()[:20]}"
    kept = load_or_build(cache_dir(), key, lambda: _draw_all(size, count, seed, emit), emit)
    return NewBirds(
        images=kept["images"],
        captions=tuple(str(sentence) for sentence in kept["captions"]),
        named=kept["named"],
        tables=kept["tables"],
        habitats=kept["habitats"],
        poses=kept["poses"],
        lights=np.array([light_of(_drawn(seed, number).rng) for number in range(count)]),
    )


@dataclass(frozen=True)
class _Bird:
    image: np.ndarray
    caption: str
    named: np.ndarray
    table: np.ndarray
    habitat: str
    pose: str


@dataclass(frozen=True)
class _Drawn:
    """What an image shows, and the random state that it is drawn from."""

    attributes: Attributes
    habitat: str
    caption: str
    named: np.ndarray
    rng: np.random.Generator


def _drawn(seed: int, number: int) -> _Drawn:
    habitats = tuple(load_world().habitats)
    rng = np.random.default_rng([seed, NEW_BIRDS_STREAM, number])
    attributes = random_attributes(rng)
    habitat = habitats[int(rng.integers(len(habitats)))]
    return _Drawn(attributes, habitat, *_caption(attributes, habitat, rng), rng)


def _draw(size: int, seed: int, number: int) -> _Bird:
    bird = _drawn(seed, number)
    scene = render_scene(bird.attributes, bird.habitat, size, bird.rng)
    values = load_world().attributes
    table = [values[name].values.index(bird.attributes[name]) for name in values]
    numbers = np.array(table, np.uint8)
    return _Bird(scene.image, bird.caption, bird.named, numbers, bird.habitat, scene.pose)


def _caption(
    attributes: Attributes, habitat: str, rng: np.random.Generator
) -> tuple[str, np.ndarray]:
    names = list(load_world().attributes)
    others = [name for name in names if name != "shape"]
    marks = [others[i] for i in rng.permutation(len(others))[:NAMED]]
    sentence = caption(attributes, habitat, rng, least=NAMED, most=NAMED, marks=marks)
    # What stands before "with" is the shape, or "bird" where the caption keeps it to itself.
    opening = sentence.split(" with ")[0]
    shown = {*marks, "shape"} if opening.endswith(attributes["shape"]) else set(marks)
    return sentence, np.array([name in shown for name in names])


def _draw_all(size: int, count: int, seed: int, emit: Emit) -> dict[str, np.ndarray]:
    birds: list[_Bird] = []
    for bird in in_parallel(partial(_draw, size, seed), count):
        birds.append(bird)
        if len(birds) % 50 == 0 or len(birds) == count:
            emit(Progress("Drawing new birds", len(birds), count))
    return {
        "images": np.stack([bird.image for bird in birds]),
        "captions": np.array([bird.caption for bird in birds]),
        "named": np.stack([bird.named for bird in birds]),
        "tables": np.stack([bird.table for bird in birds]),
        "habitats": np.array([bird.habitat for bird in birds]),
        "poses": np.array([bird.pose for bird in birds]),
    }
