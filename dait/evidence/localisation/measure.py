"""Where the networks of a study look on a sample of its test split; measured once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from dait.data.base import Dataset
from dait.distributed import device
from dait.errors import NewerFile, UserError
from dait.evaluation.networks import StoredNetwork, StoredNetworks
from dait.evaluation.results.localisation import (
    FILE_NAME,
    VERSION,
    ImageFigures,
    Measurement,
    NetworkLocalisation,
    Settings,
    read_localisation,
    written,
)
from dait.events import Emit, Note, Progress, ignore
from dait.evidence.heatmaps.cam import METHODS, default_method
from dait.evidence.localisation.evaluate import Arrays, by_masks, by_road
from dait.evidence.localisation.faithfulness import PERCENTILES
from dait.evidence.localisation.objects import has_distinguishing
from dait.evidence.localisation.sample import Sample, sample_of
from dait.evidence.localisation.summary import arms, differences, estimates
from dait.storage.files import set_aside, write_atomically

WHAT = "Looking where networks look"


def measure(
    explained: StoredNetworks,
    data: Dataset,
    settings: Settings | None = None,
    emit: Emit = ignore,
) -> Measurement:
    """Score the heatmaps of every network; kept scores are read from the study's folder.

    data: the data set of the study's recipe. The figures are kept in
    ``localisation.json``, those of every image in ``localisation.npz``; where these cannot be
    written, a note says so. A network that cannot be loaded or explained is left out, with a note.
    Raises ``UserError`` where none is left, for data without masks and boxes, and for an unknown
    method.
    """
    settings = settings or Settings()
    if settings.method is not None and settings.method not in METHODS:
        raise UserError(
            f"There is no heatmap method {settings.method!r}; choose one of {', '.join(METHODS)}."
        )
    sample = sample_of(data, settings.images)
    folder = _Folder(explained.folder, emit)
    rows: list[NetworkLocalisation] = []
    arrays: dict[str, Arrays] = {}
    failure = ""
    for number, stored in enumerate(explained.networks):
        emit(Progress(WHAT, number, len(explained.networks), "networks"))
        made_of = _made_of(stored, data, settings)
        try:
            found = _figures(stored, sample, settings, folder, made_of)
        except UserError as error:
            failure = f"{stored.member.key}: {error}"
            emit(Note(f"without {failure}"))
            continue
        if not has_distinguishing(data):
            del found["part_mass"]
        arrays[stored.member.key] = found
        rows.append(_row(stored, found, made_of))
    emit(Progress(WHAT, len(explained.networks), len(explained.networks), "networks"))
    if not rows:
        raise UserError(f"No network of {explained.folder} could be explained; {failure}")
    measurement = Measurement(
        settings=settings,
        data=data.name,
        image_size=data.size,
        sample=len(sample),
        area=sample.area(1),
        part_area=sample.area(2),
        networks=tuple(rows),
        arms=arms(rows, arrays),
        differences=differences(rows, arrays),
    )
    folder.keep(measurement)
    return measurement


class _Folder:
    """Where figures are kept. One that cannot be written is reported once."""

    def __init__(self, path: Path, emit: Emit) -> None:
        self.path, self.emit = path, emit
        self.figures = ImageFigures(path)
        self._writable = True

    def put(self, network: str, made_of: str, arrays: Arrays) -> None:
        """Keep a network's arrays."""
        self._try(lambda: self.figures.put(network, made_of, arrays))

    def keep(self, measurement: Measurement) -> None:
        """In place of one with the same settings; arrays that none refers to any more go."""

        def write() -> None:
            others = (m for m in self._before() if m.settings != measurement.settings)
            kept = (*others, measurement)
            write_atomically(self.path / FILE_NAME, written(kept))
            self.figures.forget_all_but(row.made_of for m in kept for row in m.networks)

        self._try(write)

    def _before(self) -> tuple[Measurement, ...]:
        try:
            return read_localisation(self.path)
        except NewerFile:
            raise  # its figures are not ours to replace: those found now are not kept
        except UserError as error:
            aside = set_aside(self.path / FILE_NAME).name
            self.emit(Note(f"{FILE_NAME} is written again, the old one kept as {aside}: {error}"))
            return ()

    def _try(self, write: Callable[[], None]) -> None:
        if not self._writable:
            return
        try:
            write()
        except UserError as error:
            self._writable = False
            self.emit(Note(f"the figures are not kept: {error}"))


def _figures(
    stored: StoredNetwork, sample: Sample, settings: Settings, folder: _Folder, made_of: str
) -> Arrays:
    """The kept arrays of a network, or new ones."""
    key = stored.member.key
    kept = folder.figures.get(key, made_of) or {}
    # Named by the number of images: asking for more of them is another measurement.
    road = f"road-{settings.road_images}"
    if "mass" not in kept or (settings.road_images and road not in kept):
        network = stored.load().to(device())
        method = settings.method or default_method(network)
        if "mass" not in kept:
            kept = by_masks(network, method, settings.target, sample, stored.recorded())
            folder.put(key, made_of, kept)
        if settings.road_images:
            kept[road] = by_road(network, method, settings.target, sample, settings.road_images)
            folder.put(key, made_of, {road: kept[road]})
    found = {name: array for name, array in kept.items() if not name.startswith("road-")}
    return found | {"road": kept[road]} if settings.road_images else found


def _row(stored: StoredNetwork, arrays: Arrays, made_of: str) -> NetworkLocalisation:
    member, empty, unmasked = stored.member, arrays["empty"], arrays["unmasked"]
    return NetworkLocalisation(
        key=member.key,
        role=member.role,
        title=member.title,
        seed=stored.seed,
        method=str(arrays["method"]),
        made_of=made_of,
        estimates=estimates(arrays),
        scored=int((~empty & ~unmasked).sum()),
        empty=int(empty.sum()),
        unmasked=int(unmasked.sum()),
        weights=stored.weights,
    )


def _made_of(stored: StoredNetwork, data: Dataset, settings: Settings) -> str:
    """Names everything that a network's figures depend on; ROAD's are told apart by their name."""
    described = [
        *(VERSION, data.fingerprint, stored.weights, PERCENTILES),
        *(settings.method, settings.target, settings.images),
    ]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
