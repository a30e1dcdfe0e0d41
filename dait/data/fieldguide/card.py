"""What tells two species apart: both drawn in one pose, and the parts that differ close up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from dait.data.fieldguide.dataset import home_habitat
from dait.data.fieldguide.scene import Scene, render_scene
from dait.data.fieldguide.world import PARTS, Species, load_world
from dait.errors import UserError

HABITAT = "snow"
"""The plainest background."""

PORTRAIT = 448
CLOSE_UP = 160
"""Sides in pixels of a portrait and of a close-up."""

_POSES = 12
_LEAST_SEEN = 4e-4  # share of a picture's pixels: an eye seen from the side has about twice that
_MARGIN = 0.05  # of the picture's side, around a part
_LEAST_SIDE = 0.16  # of the picture's side: closer than that is only a blur
_OUTLINE = (230, 126, 0)
_MOST_OUTLINED = 4  # parts: with more, the lines hide what they point at


@dataclass(frozen=True)
class Difference:
    """One attribute that differs: the part that shows it (or ``body``) and a phrase for each."""

    attribute: str
    part: str
    first: str
    second: str


@dataclass(frozen=True)
class CloseUp:
    """A difference drawn: ``(D, D, 3)`` uint8 of the same place in both pictures.

    None where the part is hidden in one of them.
    """

    difference: Difference
    first: np.ndarray | None
    second: np.ndarray | None


@dataclass(frozen=True)
class Card:
    """Two species side by side. pictures: ``(S, S, 3)`` uint8, few differing parts outlined."""

    species: tuple[Species, Species]
    pictures: tuple[np.ndarray, np.ndarray]
    close_ups: tuple[CloseUp, ...]


def species_of(key: object) -> Species:
    """The species with this key, which may come from a browser. Raises ``UserError``."""
    for species in load_world().species:
        if species.key == key:
            return species
    raise UserError("There is no such species in the Field Guide; choose one from the list.")


def differences(first: Species, second: Species) -> tuple[Difference, ...]:
    """The attributes in which two species differ, in the world's order."""
    return tuple(
        Difference(
            name,
            attribute.part,
            attribute.phrases[first.attributes[name]],
            attribute.phrases[second.attributes[name]],
        )
        for name, attribute in load_world().attributes.items()
        if first.attributes[name] != second.attributes[name]
    )


@lru_cache(maxsize=128)
def compare_species(first_key: str, second_key: str) -> Card:
    """The card of two species; takes about a second, then it is remembered.

    Raises ``UserError`` for a key of no species, and for one species twice.
    """
    first, second = species_of(first_key), species_of(second_key)
    if first == second:
        raise UserError("That is one species twice; choose another one beside it.")
    found = differences(first, second)
    scenes = _same_pose(first, second, [difference.part for difference in found])
    parts = {difference.part for difference in found} - {"body"}
    if len(parts) > _MOST_OUTLINED:
        parts = set()
    return Card(
        (first, second),
        (_outlined(scenes[0], parts), _outlined(scenes[1], parts)),
        tuple(_close_up(difference, scenes) for difference in found),
    )


@lru_cache(maxsize=2)
def species_gallery(size: int = 128) -> tuple[tuple[Species, np.ndarray], ...]:
    """Every species in its own habitat, ``(size, size, 3)`` uint8, family by family."""
    drawn = []
    for label, species in enumerate(load_world().species):
        rng = np.random.default_rng([label, 271])
        scene = render_scene(species.attributes, home_habitat(label), size, rng)
        drawn.append((species, scene.image))
    return tuple(drawn)


def _same_pose(first: Species, second: Species, parts: list[str]) -> tuple[Scene, Scene]:
    """Both in the first of a few poses that shows all parts, or in the one that shows most."""
    best: tuple[int, tuple[Scene, Scene]] | None = None
    for pose in range(_POSES):
        one, other = (
            render_scene(species.attributes, HABITAT, PORTRAIT, np.random.default_rng([pose, 61]))
            for species in (first, second)
        )
        shown = sum(_shows(one, part) and _shows(other, part) for part in parts)
        if best is None or shown > best[0]:
            best = shown, (one, other)
        if shown == len(parts):
            break
    assert best is not None
    return best[1]


def _mask(scene: Scene, part: str) -> np.ndarray:
    return scene.parts > 0 if part == "body" else scene.parts == PARTS.index(part) + 1


def _shows(scene: Scene, part: str) -> bool:
    return bool(_mask(scene, part).mean() >= _LEAST_SEEN)


def _outlined(scene: Scene, parts: set[str]) -> np.ndarray:
    picture = scene.image.copy()
    for part in parts:
        mask = Image.fromarray(_mask(scene, part).astype(np.uint8) * 255)
        around = np.asarray(mask.filter(ImageFilter.MaxFilter(9))) > 0
        picture[around & ~(np.asarray(mask.filter(ImageFilter.MaxFilter(5))) > 0)] = _OUTLINE
    return picture


def _close_up(difference: Difference, scenes: tuple[Scene, Scene]) -> CloseUp:
    part = difference.part
    if not all(_shows(scene, part) for scene in scenes):
        return CloseUp(difference, None, None)
    same_shape = _overlap(scenes) > 0.5
    both = _mask(scenes[0], part) | _mask(scenes[1], part)
    # Two bodies of one plan stand in one place, so that one frame shows the same of both.
    first, second = (
        _cut(scene.image, both if same_shape else _mask(scene, part)) for scene in scenes
    )
    return CloseUp(difference, first, second)


def _overlap(scenes: tuple[Scene, Scene]) -> float:
    one, other = (scene.parts > 0 for scene in scenes)
    return float((one & other).sum() / max(1, (one | other).sum()))


def _cut(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The square around a mask, with a margin, inside the picture, at ``CLOSE_UP`` pixels."""
    side = image.shape[0]
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    low = np.array([columns[0], rows[0]])
    high = np.array([columns[-1], rows[-1]]) + 1
    extent = min(side, max((high - low).max() + 2 * _MARGIN * side, _LEAST_SIDE * side))
    left, top = np.clip((low + high) / 2 - extent / 2, 0, side - extent).tolist()
    box = (left, top, left + extent, top + extent)
    close = Image.fromarray(image).resize((CLOSE_UP, CLOSE_UP), Image.Resampling.BICUBIC, box=box)
    return np.array(close)
