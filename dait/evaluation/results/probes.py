"""Figures of a frozen teacher and linear probes of a study's networks: ``knowledge.json``.

Imports nothing heavy: the app reads these files before PyTorch is loaded.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from dait.errors import NewerFile
from dait.runs.files import read_as
from dait.storage.files import parse_json

VERSION = 2
"""Raised when what is measured changes: kept figures are then measured again."""

FILE_NAME = "knowledge.json"

TRAIN, NEW_BIRDS = "train", "new birds"
"""What a probe was fitted to: the training split, or birds that no network has seen."""


class ProbeSection(BaseModel):
    """A part of the file: keys of newer versions are left alone, values cannot be changed."""

    model_config = ConfigDict(frozen=True)


class Proportion(ProbeSection):
    """A share of ``count`` images (a fraction) with its 95 % bootstrap interval."""

    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    count: int = Field(ge=1)


class ZeroShotShares(ProbeSection):
    """Top-1 and top-5 of a frozen teacher on a split with so many classes; nothing is trained.

    The prototypes are those of ``prototypes_of``: texts, or for a teacher that reads none the
    classes' mean training embeddings.
    """

    split: str
    classes: int
    top1: Proportion
    top5: Proportion


class Retrieval(ProbeSection):
    """Finding the partner among ``pairs`` pairs of an image and its caption.

    image_to_text: shares of images whose own caption is the best (``1``) or among the five best
    (``5``) of all captions; text_to_image the other way round. unambiguous: the share of captions
    that fit no other image of the set, and so what a perfect reader reaches at least.
    """

    pairs: int
    image_to_text: dict[int, Proportion]
    text_to_image: dict[int, Proportion]
    unambiguous: float


class AttributeScore(ProbeSection):
    """How often the right value of an attribute is chosen, and what always saying the most common
    value would score on the same images."""

    accuracy: Proportion
    majority: float


class AttributeFigures(ProbeSection):
    """One attribute named by words alone: ``values`` to choose from, so chance is their inverse.

    species: on the test split, where attributes come in the species' combinations; birds: on new
    birds, where every attribute is drawn independently.
    """

    name: str
    values: int
    species: AttributeScore
    birds: AttributeScore

    @property
    def chance(self) -> float:
        return 1 / self.values


class Reading(ProbeSection):
    """How well a linear readout of frozen features names ``target`` on the test split.

    fitted_to: ``TRAIN`` or ``NEW_BIRDS``. cost: the inverse regularisation strength that validation
    chose. majority: what always saying the fitting images' most common value scores.
    """

    target: str
    fitted_to: str
    values: int
    accuracy: Proportion
    majority: float
    cost: float

    @property
    def chance(self) -> float:
        return 1 / self.values


class NetworkFigures(ProbeSection):
    """The readings of one network.

    key, role, title: as of a member of the comparison; seed: None for the frozen teacher.
    width: of its pooled features.
    """

    key: str
    role: str
    title: str
    seed: int | None
    width: int
    readings: tuple[Reading, ...]

    def reading(self, target: str, fitted_to: str = TRAIN) -> Reading | None:
        """The reading of ``target``, or None where it was not measured."""
        for reading in self.readings:
            if (reading.target, reading.fitted_to) == (target, fitted_to):
                return reading
        return None


class ProbeResults(ProbeSection):
    """Everything that was measured. ``made_of`` names what it depends on.

    retrieval and attributes are None where the data has no attributes in words, or the teacher
    reads none. files: digests of the trained networks by their file, None where an older version
    measured.
    """

    version: int
    made_of: str
    teacher: str
    weights_hash: str
    data: str
    image_size: int
    zero_shot: ZeroShotShares
    retrieval: Retrieval | None
    attributes: tuple[AttributeFigures, ...] | None
    networks: tuple[NetworkFigures, ...]
    files: dict[str, str] | None = None


def read_probe_results(path: Path) -> ProbeResults | None:
    """The figures kept in ``path``; None where there are none, or of an older version.

    Raises ``UserError`` for a damaged file, ``NewerFile`` for one of a newer version.
    """
    advice = "Delete it and measure again: python -m dait teacher probe."
    found: ProbeResults | None = read_as(path, partial(parse_knowledge, path=path), advice)
    return found


def parse_knowledge(content: bytes, path: Path) -> ProbeResults | None:
    """As ``read_probe_results``, of a JSON text. Raises ``ValueError`` where it is damaged."""
    value = parse_json(content)
    version = _OnlyVersion.model_validate(value).version
    if version > VERSION:
        raise NewerFile(path, version, VERSION)
    return ProbeResults.model_validate(value) if version == VERSION else None


class _OnlyVersion(BaseModel):
    version: int
