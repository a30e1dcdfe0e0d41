"""The Field Guide as a data set: forty species, three splits, drawn on first use and kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from dait.data.base import ClassInfo, Problem, Split, SplitName
from dait.data.fieldguide.captions import caption, prompts
from dait.data.fieldguide.scene import RENDERER_VERSION, Scene, render_scene
from dait.data.fieldguide.world import PARTS, Attributes, Species, load_world
from dait.errors import UserError
from dait.events import Emit, Progress, ignore

SPLIT_NUMBERS: dict[SplitName, int] = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True)
class FieldGuideOptions:
    """What makes one Field Guide differ from another.

    habitat_bias: chance that a training image shows its species' own habitat; else, and in
        validation and test always, the habitat is drawn evenly from all six.
    """

    size: int = 96
    seed: int = 0
    habitat_bias: float = 0.7
    train_per_class: int = 30
    val_per_class: int = 8
    test_per_class: int = 25
    species: int = 40

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

    def per_class(self, split: SplitName) -> int:
        return {
            "train": self.train_per_class,
            "val": self.val_per_class,
            "test": self.test_per_class,
        }[split]


@dataclass(frozen=True)
class Record:
    """One image and everything that is known of it."""

    scene: Scene
    label: int
    attributes: Attributes
    habitat: str
    caption: str


def record(options: FieldGuideOptions, split: SplitName, index: int) -> Record:
    """Image ``index`` of ``split``: a function of ``(seed, split, index)`` and the options alone.

    Images go round the species: ``label = index % species``. Splits are disjoint because the
    split's number is part of the random seed.
    """
    species = load_world().species[: options.species]
    label = index % len(species)
    bird = species[label]
    rng = np.random.default_rng([options.seed, SPLIT_NUMBERS[split], index])
    habitat = _habitat(bird, label, split, options, rng)
    sentence = caption(bird.attributes, habitat, rng)
    scene = render_scene(bird.attributes, habitat, options.size, rng)
    return Record(scene, label, bird.attributes, habitat, sentence)


def home_habitat(label: int) -> str:
    """The habitat that a species prefers: no two of a family share one, and each is preferred."""
    names = tuple(load_world().habitats)
    return names[label % len(names)]  # a family is five neighbours, and there are six habitats


def _habitat(
    bird: Species,
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
        self._species = load_world().species[: options.species]
        self.classes = tuple(
            ClassInfo(bird.key, bird.name, bird.family, prompts(bird.attributes))
            for bird in self._species
        )
        self._splits: dict[SplitName, Split] = {}

    @property
    def fingerprint(self) -> str:
        return self._key(SPLIT_NUMBERS)

    def counts(self) -> dict[SplitName, int]:
        return {name: self.options.per_class(name) * len(self.classes) for name in SPLIT_NUMBERS}

    def split(self, name: SplitName) -> Split:
        if name not in self._splits:
            self._splits[name] = self._load(name)
        return self._splits[name]

    def _key(self, splits: Any) -> str:
        described = json.dumps(
            {
                "options": asdict(self.options),
                "species": [bird.attributes for bird in self._species],
                "splits": sorted(splits),
                "renderer": RENDERER_VERSION,
                "pillow": version("pillow"),
                "numpy": version("numpy"),
            },
            sort_keys=True,
        )
        return hashlib.sha256(described.encode()).hexdigest()[:20]

    def _load(self, name: SplitName) -> Split:
        from dait.data.store import cache_dir, load_or_build

        key = f"fieldguide-{name}-{self.size}-{self._key([name])}"
        arrays = load_or_build(cache_dir(), key, lambda: self._draw(name))
        habitats = np.asarray(tuple(load_world().habitats))[arrays["habitats"]]
        homes = np.asarray([home_habitat(int(label)) for label in arrays["labels"]])
        familiar = np.where(habitats == homes, "familiar", "unfamiliar")
        return Split(
            name=name,
            images=arrays["images"],
            labels=np.array(arrays["labels"]),  # a copy: torch warns of read-only arrays
            ids=tuple(f"{name}/{index:05d}" for index in range(len(arrays["labels"]))),
            masks=arrays["masks"],
            slices={"habitat": habitats, "background": familiar},
        )

    def _draw(self, name: SplitName) -> dict[str, np.ndarray]:
        count = self.counts()[name]
        images = np.empty((count, self.size, self.size, 3), np.uint8)
        masks = np.empty((count, self.size, self.size), np.uint8)
        labels = np.empty(count, np.int64)
        habitats = np.empty(count, np.int64)
        names = tuple(load_world().habitats)
        for index in range(count):
            drawn = record(self.options, name, index)
            images[index], masks[index] = drawn.scene.image, drawn.scene.parts
            labels[index], habitats[index] = drawn.label, names.index(drawn.habitat)
            if index % 50 == 0 or index + 1 == count:
                self._emit(Progress(f"Drawing the Field Guide's {name} split", index + 1, count))
        return {"images": images, "masks": masks, "labels": labels, "habitats": habitats}


def open_fieldguide(emit: Emit = ignore, **options: Any) -> FieldGuide:
    """The Field Guide with ``FieldGuideOptions`` given by name."""
    return FieldGuide(FieldGuideOptions(**options), emit)
