"""The Field Guide as a data set: forty species, three splits, drawn on first use and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import numpy as np

from dait.data.base import ClassInfo, Problem, Split, SplitName, no_images
from dait.data.fieldguide.captions import caption, prompts
from dait.data.fieldguide.light import LightName
from dait.data.fieldguide.parallel import in_parallel
from dait.data.fieldguide.scene import RENDERER_VERSION, Scene, light_of, render_scene
from dait.data.fieldguide.world import (
    MOST_DIFFERING,
    PARTS,
    Attributes,
    Species,
    load_world,
)
from dait.errors import UserError
from dait.events import Emit, Progress, ignore
from dait.storage.cache import cache_dir, load_or_build

SPLIT_NUMBERS: dict[SplitName, int] = {"train": 0, "val": 1, "test": 2}
_LABELS = 3
"""Part of the random seed of label noise and of the long tail's order."""


@dataclass(frozen=True)
class FieldGuideOptions:
    """What makes one Field Guide differ from another, and how hard it is.

    habitat_bias: chance that a training image shows its species' own habitat; else, and in
        validation and test always, the habitat is drawn evenly from all six.
    differing: in how many attributes two species of a family differ at least, 1 to 5.
    label_noise: share of the training images labelled as another species of their family.
    long_tail: how many times more training images the commonest species has than the rarest; in
        between they fall off exponentially (Cui et al. 2019, "Class-Balanced Loss").
    """

    size: int = 96
    seed: int = 0
    habitat_bias: float = 0.7
    train_per_class: int = 30
    val_per_class: int = 8
    test_per_class: int = 25
    species: int = 40
    differing: int = 2
    label_noise: float = 0.0
    long_tail: float = 1.0

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 512:
            raise UserError(
                f"The Field Guide draws images of 16 to 512 pixels, not {self.size}. "
                "Change `data.size` in the recipe."
            )
        if not 0.0 <= self.habitat_bias <= 1.0:
            raise UserError(
                f"The habitat bias is a chance between 0 and 1, not {self.habitat_bias}."
            )
        if not 2 <= self.species <= len(load_world().species):
            raise UserError(
                f"The Field Guide has 2 to {len(load_world().species)} species, not {self.species}."
            )
        if not 1 <= self.differing <= MOST_DIFFERING:
            raise UserError(
                f"Two species of a family differ in at least 1 to {MOST_DIFFERING} attributes, "
                f"not {self.differing}."
            )
        if not 0.0 <= self.label_noise <= 0.9:
            raise UserError(f"The label noise is a share of 0 to 0.9, not {self.label_noise}.")
        if not 1.0 <= self.long_tail <= 1000.0:
            raise UserError(f"The long tail is a ratio of 1 (even) to 1,000, not {self.long_tail}.")

    def per_class(self, split: SplitName) -> int:
        """Images of a species; in a long-tailed training split, of the commonest."""
        return {
            "train": self.train_per_class,
            "val": self.val_per_class,
            "test": self.test_per_class,
        }[split]

    def guide(self) -> tuple[Species, ...]:
        """The species of this guide, in the order of its labels."""
        return load_world(self.differing).species[: self.species]


@dataclass(frozen=True)
class DrawingRecord:
    """One image and everything that is known of it: ``label`` is what is drawn, noise aside."""

    scene: Scene
    label: int
    attributes: Attributes
    habitat: str
    caption: str


@cache
def shown(options: FieldGuideOptions, split: SplitName) -> tuple[int, ...]:
    """``(N,)`` int64: the species that each image of ``split`` shows, in turn."""
    most = options.per_class(split)
    counts = np.full(options.species, most)
    if split == "train" and options.long_tail > 1:
        rank = np.random.default_rng([options.seed, _LABELS, 0]).permutation(options.species)
        share = options.long_tail ** (-rank / (options.species - 1))
        counts = np.maximum(1, np.round(most * share)).astype(int)
    rounds = [np.flatnonzero(counts > k) for k in range(int(counts.max()))]
    return tuple(int(label) for labels in rounds for label in labels)


def labels(options: FieldGuideOptions, split: SplitName) -> np.ndarray:
    """``(N,)`` int64: the labels as they are given, the noise of training images included."""
    given = np.array(shown(options, split), dtype=np.int64)
    if split != "train" or options.label_noise == 0:
        return given
    rng = np.random.default_rng([options.seed, _LABELS, 1])
    families = np.array([bird.family for bird in options.guide()])
    wrong = rng.random(len(given)) < options.label_noise
    turn = rng.random(len(given))
    for index in np.flatnonzero(wrong):
        others = np.flatnonzero(families == families[given[index]])
        others = others[others != given[index]]
        if len(others):
            given[index] = others[int(turn[index] * len(others))]
    return given


def record(options: FieldGuideOptions, split: SplitName, index: int) -> DrawingRecord:
    """Image ``index`` of ``split``: a function of ``(seed, split, index)`` and the options alone.

    Images take the species in turn. Splits are disjoint because the split's number is part of the
    random seed. Raises ``IndexError`` for an index outside the split.
    """
    drawn = _drawn(options, split, index)
    scene = render_scene(drawn.attributes, drawn.habitat, options.size, drawn.rng)
    return DrawingRecord(scene, drawn.label, drawn.attributes, drawn.habitat, drawn.caption)


def light(options: FieldGuideOptions, split: SplitName, index: int) -> LightName:
    """The light of ``record(options, split, index)``, without drawing the image."""
    return light_of(_drawn(options, split, index).rng)


def slices_undrawn(options: FieldGuideOptions, split: SplitName) -> dict[str, np.ndarray]:
    """The slices of ``split`` that need no drawing, ``(N,)`` strings each."""
    all_drawn = [_drawn(options, split, index) for index in range(len(shown(options, split)))]
    at_home = [drawn.habitat == home_habitat(drawn.label) for drawn in all_drawn]
    return {
        "habitat": np.asarray([drawn.habitat for drawn in all_drawn]),
        "background": np.where(at_home, "familiar", "unfamiliar"),
        "light": np.asarray([light_of(drawn.rng) for drawn in all_drawn]),
    }


@dataclass(frozen=True)
class _Drawn:
    """What an image shows, and the random state that it is drawn from."""

    label: int
    attributes: Attributes
    habitat: str
    caption: str
    rng: np.random.Generator


def _drawn(options: FieldGuideOptions, split: SplitName, index: int) -> _Drawn:
    label = shown(options, split)[index]
    attributes = options.guide()[label].attributes
    rng = np.random.default_rng([options.seed, SPLIT_NUMBERS[split], index])
    habitat = _habitat(label, split, options, rng)
    return _Drawn(label, attributes, habitat, caption(attributes, habitat, rng), rng)


def home_habitat(label: int) -> str:
    """The habitat that a species prefers: no two of a family share one, and each is preferred."""
    names = tuple(load_world().habitats)
    return names[label % len(names)]  # a family is five neighbours, and there are six habitats


def _habitat(
    label: int,
    split: SplitName,
    options: FieldGuideOptions,
    rng: np.random.Generator,
) -> str:
    names = tuple(load_world().habitats)
    at_home = rng.random() < options.habitat_bias
    drawn = names[int(rng.integers(len(names)))]
    return home_habitat(label) if split == "train" and at_home else drawn


class FieldGuide:
    """A ``Dataset`` (see ``dait.data.base``) that is drawn instead of read."""

    name = "fieldguide"
    licence = "Apache-2.0 (drawn by this project)"
    homepage = ""
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    part_names = PARTS

    def __init__(self, options: FieldGuideOptions, emit: Emit = ignore) -> None:
        self.options = options
        self.size = options.size
        self._emit = emit
        self._species = options.guide()
        marks = load_world(options.differing).varying
        self.classes = tuple(
            ClassInfo(
                bird.key, bird.name, bird.family, prompts(bird.attributes, marks[bird.family])
            )
            for bird in self._species
        )
        self._splits: dict[SplitName, Split] = {}

    @property
    def reader(self) -> dict[str, str]:
        """What draws the birds, by name: its versions are part of the fingerprint."""
        libraries = {name: version(name) for name in ("pillow", "numpy")}
        return {"renderer": str(RENDERER_VERSION), **libraries}

    @property
    def fingerprint(self) -> str:
        return self.fingerprint_read_by(self.reader)

    def fingerprint_read_by(self, reader: Mapping[str, str]) -> str:
        """The fingerprint that this guide has where other versions draw it."""
        return self._key(SPLIT_NUMBERS, reader)

    def counts(self) -> dict[SplitName, int]:
        return {name: len(shown(self.options, name)) for name in SPLIT_NUMBERS}

    def split(self, name: SplitName) -> Split:
        if name == "unlabelled":
            return no_images(self.size)
        if name not in self._splits:
            self._splits[name] = self._load(name)
        return self._splits[name]

    def listed_labels(self, name: SplitName) -> np.ndarray:
        """``(N,)`` int64: the labels of a split, without drawing any image."""
        return labels(self.options, name)

    def _key(self, splits: Any, reader: Mapping[str, str]) -> str:
        described = json.dumps(
            {
                "options": asdict(self.options),
                "species": [bird.attributes for bird in self._species],
                "splits": sorted(splits),
                "renderer": int(reader["renderer"]),
                "pillow": reader["pillow"],
                "numpy": reader["numpy"],
            },
            sort_keys=True,
        )
        return hashlib.sha256(described.encode()).hexdigest()[:20]

    def _load(self, name: SplitName) -> Split:
        key = f"fieldguide-{name}-{self.size}-{self._key([name], self.reader)}"
        arrays = load_or_build(cache_dir(), key, lambda: self._draw(name), self._emit)
        habitats = np.asarray(tuple(load_world().habitats))[arrays["habitats"]]
        homes = np.asarray([home_habitat(label) for label in shown(self.options, name)])
        familiar = np.where(habitats == homes, "familiar", "unfamiliar")
        # Not kept with the images: it is quickly recomputed from the random state.
        lights = np.asarray([light(self.options, name, index) for index in range(len(habitats))])
        return Split(
            name=name,
            images=arrays["images"],
            labels=labels(self.options, name),
            ids=tuple(f"{name}/{index:05d}" for index in range(len(arrays["images"]))),
            masks=arrays["masks"],
            slices={
                "habitat": habitats,
                "background": familiar,
                "pose": arrays["poses"],
                "light": lights,
            },
        )

    def _draw(self, name: SplitName) -> dict[str, np.ndarray]:
        count, size = self.counts()[name], self.size
        images = np.empty((count, size, size, 3), np.uint8)
        masks = np.empty((count, size, size), np.uint8)
        habitats, poses = np.empty(count, np.int64), []
        names = tuple(load_world().habitats)
        drawn = in_parallel(partial(record, self.options, name), count)
        for index, seen in enumerate(drawn):
            images[index], masks[index] = seen.scene.image, seen.scene.parts
            habitats[index] = names.index(seen.habitat)
            poses.append(seen.scene.pose)
            if index % 50 == 0 or index + 1 == count:
                self._emit(Progress(f"Drawing the Field Guide's {name} split", index + 1, count))
        return {"images": images, "masks": masks, "habitats": habitats, "poses": np.array(poses)}


def open_fieldguide(emit: Emit = ignore, **options: Any) -> FieldGuide:
    """The Field Guide with ``FieldGuideOptions`` given by name."""
    return FieldGuide(FieldGuideOptions(**options), emit)
