"""Localisation of heatmaps as stored with a study or a run: ``localisation.json`` and ``.npz``.

Imports nothing heavy: the app reads these files before PyTorch is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from dait.errors import NewerFile, UserError
from dait.runs.files import load_arrays, read_as
from dait.storage.files import parse_json, set_aside, write_arrays

VERSION = 1
"""Raised when what is measured changes: kept figures are then measured again."""

FILE_NAME, IMAGES_FILE_NAME = "localisation.json", "localisation.npz"
FIGURES: dict[str, str] = {
    "mass": "relevance on the object",
    "part_mass": "relevance on its distinguishing parts",
    "pointing": "pointing game",
    "rank": "relevance rank accuracy",
    "road": "ROAD",
}
"""What is averaged, and its name for people; see ``scores.Localisation`` and ``faithfulness``."""

Arrays = Mapping[str, np.ndarray]
Target = Literal["true", "predicted"]


class Record(BaseModel):
    """A part of the file: keys of newer versions are left alone, values cannot be changed."""

    model_config = ConfigDict(frozen=True)


class MeanInterval(Record):
    """A mean over ``count`` images with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    count: int = Field(ge=1)


class Settings(Record):
    """What was asked.

    method: a key of ``heatmaps.METHODS``, None for each network's default. target: explain the
    images' true class or what each network predicts. images: how many of the test split, stratified
    by class with a fixed seed; road_images: how many of these have a ROAD score too.

    The true class is the default because it is the comparable one: every network answers the same
    question about the same image. With the predicted class, a network that is wrong explains
    another bird than its neighbour, and the figure mixes where it looks with what it believes.
    """

    method: str | None = None
    target: Target = "true"
    images: int = Field(500, ge=2)
    road_images: int = Field(100, ge=0)


class NetworkLocalisation(Record):
    """One network. estimates: by ``FIGURES``, without those that could not be had.

    seed: None for the frozen teacher. method: the one used. made_of: names everything that the
    figures depend on, and the arrays of ``localisation.npz``. scored, empty, unmasked: images with
    figures, with a map that is zero everywhere, and without an object in sight. weights: digest of
    the network, None where an older version measured.
    """

    key: str
    role: str
    title: str
    seed: int | None
    method: str
    made_of: str
    estimates: dict[str, MeanInterval]
    scored: int
    empty: int
    unmasked: int
    weights: str | None = None


class ArmLocalisation(Record):
    """All seeds of an arm, or of what taught it: each image's mean over the seeds, averaged.

    The interval is over images, for these very networks; ``by_seed`` has the mean of every seed in
    the order of ``seeds``, which shows how much another training changes. seeds: empty for the
    frozen teacher.
    """

    role: str
    title: str
    method: str
    seeds: tuple[int, ...]
    estimates: dict[str, MeanInterval]
    by_seed: dict[str, tuple[float | None, ...]]
    empty: int


class ArmDifference(Record):
    """``first`` less ``second``, two students' arms, on the images that both could be scored on."""

    first: str
    second: str
    seeds: tuple[int, ...]
    estimates: dict[str, MeanInterval]


class Measurement(Record):
    """Everything about one ``settings``.

    sample: test images explained. area, part_area: the share of the image that the object and its
    distinguishing parts take up, which is what a map that is the same everywhere scores as
    ``mass`` and ``part_mass``; part_area is None for data whose parts are not known.
    """

    settings: Settings
    data: str
    image_size: int
    sample: int
    area: MeanInterval | None
    part_area: MeanInterval | None
    networks: tuple[NetworkLocalisation, ...]
    arms: tuple[ArmLocalisation, ...]
    differences: tuple[ArmDifference, ...]


class _File(Record):
    version: int
    measurements: tuple[Measurement, ...]


class _OnlyVersion(BaseModel):
    version: int


def read_localisation(folder: Path) -> tuple[Measurement, ...]:
    """What is kept in a study's or a run's folder; the newest last, empty where there is none.

    What an older version measured counts as none. Raises ``UserError`` for a damaged file, and
    ``NewerFile`` for one that a newer version of the project wrote.
    """
    path = folder / FILE_NAME
    advice = f"Delete it and measure again: python -m dait localise {folder}."

    def parse(content: bytes) -> tuple[Measurement, ...]:
        value = parse_json(content)
        version = _OnlyVersion.model_validate(value).version
        if version > VERSION:
            raise NewerFile(path, version, VERSION)
        return _File.model_validate(value).measurements if version == VERSION else ()

    found: tuple[Measurement, ...] | None = read_as(path, parse, advice)
    return found or ()


def written(measurements: tuple[Measurement, ...]) -> str:
    """The text of ``localisation.json``."""
    return _File(version=VERSION, measurements=measurements).model_dump_json(indent=1) + "\n"


class ImageFigures:
    """The figures of every image in ``localisation.npz``, so that no image is explained twice.

    Arrays by network and by what they were made of, called ``<network>/<made of>/<figure>``.

    A damaged file counts as none, because everything in it can be measured again; it is set aside
    before another is written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / IMAGES_FILE_NAME
        found = _read_arrays(self.path)
        self._damaged = found is None
        self._arrays = found or {}

    def get(self, network: str, made_of: str) -> dict[str, np.ndarray] | None:
        """The arrays by figure, or None."""
        prefix = f"{network}/{made_of}/"
        found = {
            name.removeprefix(prefix): array
            for name, array in self._arrays.items()
            if name.startswith(prefix)
        }
        return found or None

    def put(self, network: str, made_of: str, arrays: Arrays) -> None:
        """Keep arrays and write the file. Raises ``UserError`` where it cannot be written."""
        for figure, array in arrays.items():
            self._arrays[f"{network}/{made_of}/{figure}"] = array
        self._write()

    def add(self, others: Iterable[ImageFigures]) -> None:
        """Keep what ``others`` know too, and write the file. Raises as ``put`` does."""
        for other in others:
            self._arrays |= other._arrays
        self._write()

    def forget_all_but(self, made_of: Iterable[str]) -> None:
        """Drop what belongs to none of these, such as the figures of weights that are gone."""
        wanted = set(made_of)
        kept = {n: array for n, array in self._arrays.items() if n.split("/")[1] in wanted}
        if len(kept) < len(self._arrays):
            self._arrays = kept
            self._write()

    def _write(self) -> None:
        if self._damaged and self.path.exists():
            set_aside(self.path)
        self._damaged = False
        write_arrays(self.path, self._arrays)


def _read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """None where the file is damaged."""
    try:
        arrays = load_arrays(path) or {}
    except UserError:
        return None
    return {name: array for name, array in arrays.items() if name.count("/") == 2}
