"""Invented birds in invented families: an unlimited supply to learn attributes from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import numpy as np

from dait.data.fieldguide.light import LIGHTS
from dait.data.fieldguide.parallel import in_parallel
from dait.data.fieldguide.plan import POSES
from dait.data.fieldguide.scene import RENDERER_VERSION, render_scene
from dait.data.fieldguide.world import load_world, random_family
from dait.events import Emit, Progress
from dait.storage.cache import cache_dir, load_or_build

POOL_STREAM = 9
"""Part of the random seed; the data set's splits use 0 to 2, so no image is shared."""


@dataclass(frozen=True)
class InventedBirds:
    """``count`` birds in families of ``family`` that differ in ``marks`` attributes only.

    None is one of the forty species; each stands in a habitat drawn evenly from all.
    """

    count: int
    family: int
    marks: int
    size: int
    seed: int

    def draw_family(self, number: int) -> dict[str, np.ndarray]:
        """Family ``number``: ``images`` (n, S, S, 3), ``tables`` (n, attributes), ``habitats``,
        ``poses`` and ``lights`` (n,) and ``marks`` (n, marks), all uint8; it depends on the seed
        and the number alone.

        ``tables`` holds an index of each attribute's values, ``marks`` indices of attributes;
        ``poses`` and ``lights`` are indices into ``POSES`` and ``LIGHTS``.
        """
        world = load_world()
        names = list(world.attributes)
        rng = np.random.default_rng([self.seed, POOL_STREAM, number])
        members, varying = random_family(self.family, rng, self.marks)
        habitats = rng.integers(len(world.habitats), size=self.family).astype(np.uint8)
        scenes = [
            render_scene(table, tuple(world.habitats)[habitat], self.size, rng)
            for table, habitat in zip(members, habitats, strict=True)
        ]
        tables = np.array(
            [
                [a.values.index(table[name]) for name, a in world.attributes.items()]
                for table in members
            ]
        )
        marks = np.tile([names.index(name) for name in varying], (self.family, 1))
        return {
            "images": np.stack([scene.image for scene in scenes]),
            "tables": tables.astype(np.uint8),
            "habitats": habitats,
            "poses": np.array([POSES.index(scene.pose) for scene in scenes], np.uint8),
            "lights": np.array([LIGHTS.index(scene.light) for scene in scenes], np.uint8),
            "marks": marks.astype(np.uint8),
        }

    def draw(self, emit: Emit) -> dict[str, np.ndarray]:
        """All families: the arrays of ``draw_family``, concatenated."""
        families = self.count // self.family
        joined: dict[str, np.ndarray] = {}
        for number, family in enumerate(in_parallel(partial(_drawn, self), families)):
            for name, part in family.items():
                if number == 0:
                    joined[name] = np.empty((self.count, *part.shape[1:]), np.uint8)
                joined[name][number * self.family : (number + 1) * self.family] = part
            emit(Progress("Drawing invented families", number + 1, families))
        return joined

    def load(self, emit: Emit) -> dict[str, np.ndarray]:
        """The arrays of ``draw``, kept in the cache folder."""
        facts: list[int | str] = [self.family, self.marks, self.count, self.seed, self.size]
        facts += [
            "poses and lights",
            RENDERER_VERSION,
            version("pillow"),
            version("numpy"),
            repr(load_world()),
        ]
        key = f"invented-families-{hashlib.sha256(repr(facts).encode()).hexdigest()[:20]}"
        return load_or_build(cache_dir(), key, lambda: self.draw(emit), emit)


def _drawn(birds: InventedBirds, number: int) -> dict[str, np.ndarray]:
    return birds.draw_family(number)
