"""Predictions and heatmaps for a visitor's photographs, for the Predict tab and the API.

Values may come from a browser and are checked here. Wrong ones raise ``UserError``, or are reported
for the one photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.comparisons.cache import BATCH_SIZE, Comparisons, OpenComparison
from app.comparisons.heatmap_row import Picture
from app.config import hide_paths
from app.ui.photo_uploads import read_photo
from dait.data.images.decode import BadImage
from dait.errors import UserError
from dait.evaluation.records import ComparedNetwork
from dait.evaluation.results.latency import with_one_latency
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.explanation import Explanation, Question
from dait.evidence.prediction_tables import named_networks, predicted_networks

MAX_PHOTOS = 200
"""At once: every network classifies all of them while the visitor waits."""
SHOWN_PIXELS, THUMBNAIL_PIXELS = 448, 96
PASSES = 3
"""Forward passes of each network for a single photograph: the fastest is its latency."""

Progress = Callable[[int, int], None]
"""Called with the number of photographs that are done, and of all."""


@dataclass(frozen=True)
class PhotoPredictions:
    """The predictions of a study's networks for photographs.

    images: ``image`` (the file's name) and ``networks`` (``predicted_networks``) of each that could
    be read; thumbnails: ``(T, T, 3)`` uint8 of each; indices: the place of each
    among the files; problems: a sentence for each that could not;
    left_out: a sentence for each network that could not be loaded; members: the others.
    """

    images: list[dict[str, Any]]
    thumbnails: list[np.ndarray]
    problems: list[str]
    left_out: list[str]
    members: tuple[ComparedNetwork, ...]
    indices: list[int]


@dataclass(frozen=True)
class Explained:
    """One photograph under a study's networks; ``image`` as in ``PhotoPredictions.images``."""

    picture: Picture
    image: dict[str, Any]
    explanations: list[Explanation]
    comparison: Comparison
    left_out: list[str] = field(default_factory=list)


class PredictViews:
    """Predictions by the finished studies of one app."""

    def __init__(self, comparisons: Comparisons) -> None:
        self.comparisons = comparisons

    def many(
        self, study_id: object, files: object, progress: Progress = lambda done, total: None
    ) -> PhotoPredictions:
        """Predictions for several photographs; one that cannot be read does not stop the others.

        Raises ``UserError`` for an unknown study, for no photograph or too many, and with every
        photograph's sentence if none of them can be read.
        """
        paths = _paths(files)
        opened = self.comparisons.get(study_id)
        comparison = opened.comparison
        failures = comparison.load()
        images: list[dict[str, Any]] = []
        thumbnails: list[np.ndarray] = []
        problems: list[str] = []
        indices: list[int] = []
        for start in range(0, len(paths), BATCH_SIZE):
            names: list[str] = []
            read: list[np.ndarray] = []
            for done, path in enumerate(paths[start : start + BATCH_SIZE], start):
                progress(done, len(paths))
                try:
                    read.append(read_photo(path, comparison.framing))
                    names.append(path.name)
                    indices.append(done)
                except BadImage as error:
                    problems.append(f"{path.name} {error.reason}.")
            thumbnails += [_thumbnail(image) for image in read]
            for name, answers in zip(names, opened.answers(read), strict=True):
                networks = _one_latency(comparison, named_networks(comparison, answers))
                images.append({"image": name, "networks": networks})
        progress(len(paths), len(paths))
        if not images:
            raise UserError("\n".join(problems))
        members = tuple(m for m in comparison.members if m.key not in failures)
        left_out = _left_out(opened, failures)
        return PhotoPredictions(images, thumbnails, problems, left_out, members, indices)

    def one(
        self, study_id: object, file: object, method: str | None = None, target: int | None = None
    ) -> Explained:
        """One photograph: each network's prediction, latency and heatmap.

        Raises ``UserError`` for an unknown study, method or class, and for a photograph that
        cannot be read.
        """
        (path,) = _paths(file, most=1)
        opened = self.comparisons.get(study_id)
        comparison = opened.comparison
        try:
            seen = read_photo(path, comparison.framing)
            shown = read_photo(path, comparison.framing.at(SHOWN_PIXELS))
        except BadImage as error:
            raise UserError(f"{path.name} {error.reason}.") from error
        failures = comparison.load()
        # These passes warm the networks up, so they are not timed.
        explanations = opened.row(seen, Question(method, target))
        networks = _one_latency(comparison, predicted_networks(comparison, seen, passes=PASSES))
        return Explained(
            Picture(seen, shown, None, path.name),
            {"image": path.name, "networks": networks},
            explanations,
            comparison,
            _left_out(opened, failures),
        )


def _one_latency(comparison: Comparison, networks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same networks; those of one architecture take equally long."""
    costs = {row["key"]: row for row in comparison.table()}
    measured = [
        {**costs.get(network["network"], {}), "latency_ms": network["latency_ms"]}
        for network in networks
    ]
    return [
        {**network, "latency_ms": found["latency_ms"]}
        for network, found in zip(networks, with_one_latency(measured), strict=True)
    ]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """``(S, S, 3)`` uint8, scaled to ``THUMBNAIL_PIXELS``."""
    size = (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _paths(files: object, most: int = MAX_PHOTOS) -> list[Path]:
    listed: Sequence[object] = files if isinstance(files, (list, tuple)) else [files]
    paths = [Path(file) for file in listed if isinstance(file, str) and file]
    if not paths or len(paths) != len(listed):
        raise UserError("Choose a photograph first.")
    if len(paths) > most:
        raise UserError(f"These are {len(paths)} photographs; at most {most} are accepted at once.")
    return paths


def _left_out(opened: OpenComparison, failures: dict[str, str]) -> list[str]:
    titles = {member.key: member.title for member in opened.comparison.members}
    return [hide_paths(f"Without {titles[key]}: {sentence}") for key, sentence in failures.items()]
