"""What the Predict tab and the API say of a visitor's photographs: no page in here.

Everything that comes in may come from a browser and is checked here; what is wrong with it is
raised as ``UserError``, or said of the one photograph that it is wrong with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.comparisons.cache import MOST_TOGETHER, Comparisons, OpenComparison
from app.comparisons.heatmap_row import Picture
from app.config import hide_paths
from app.ui.photo_uploads import read_photo
from dait.data.images.decode import BadImage
from dait.errors import UserError
from dait.evidence.comparison import Comparison, Explanation, RowNetwork
from dait.evidence.heatmaps.row import Question

MOST_PHOTOS = 200
"""At once: every network looks at every one of them, while the visitor waits."""
SHOWN_PIXELS, THUMBNAIL_PIXELS = 448, 96
PASSES = 3
"""Of each network over a photograph that comes alone: the fastest is its latency."""

Progress = Callable[[int, int], None]
"""Told how many photographs of how many are done."""


@dataclass(frozen=True)
class PhotoPredictions:
    """What the networks of a study say of photographs.

    images: ``image`` (the file's name) and ``networks`` (``predicted_networks``) of each that could
    be read; thumbnails: ``(T, T, 3)`` uint8 of each; problems: a sentence for each that could not;
    left_out: a sentence for each network that could not be loaded; members: those that answer.
    """

    images: list[dict[str, Any]]
    thumbnails: list[np.ndarray]
    problems: list[str]
    left_out: list[str]
    members: tuple[RowNetwork, ...]


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

        Raises ``UserError`` for a study that is not there, for no photograph or too many, and with
        every photograph's sentence where none of them can be read.
        """
        from dait.evidence.photo_predictions import named_networks

        paths = _paths(files)
        opened = self.comparisons.get(study_id)
        comparison = opened.comparison
        failures = comparison.load()
        images: list[dict[str, Any]] = []
        thumbnails: list[np.ndarray] = []
        problems: list[str] = []
        for start in range(0, len(paths), MOST_TOGETHER):
            names: list[str] = []
            read: list[np.ndarray] = []
            for done, path in enumerate(paths[start : start + MOST_TOGETHER], start):
                progress(done, len(paths))
                try:
                    read.append(read_photo(path, comparison.framing))
                    names.append(path.name)
                except BadImage as error:
                    problems.append(f"{path.name} {error.reason}.")
            thumbnails += [_thumbnail(image) for image in read]
            for name, answers in zip(names, opened.answers(read), strict=True):
                images.append({"image": name, "networks": named_networks(comparison, answers)})
        progress(len(paths), len(paths))
        if not images:
            raise UserError("\n".join(problems))
        members = tuple(m for m in comparison.members if m.key not in failures)
        return PhotoPredictions(images, thumbnails, problems, _left_out(opened, failures), members)

    def one(
        self, study_id: object, file: object, method: str | None = None, target: int | None = None
    ) -> Explained:
        """One photograph: what each network says, what that takes, and where it looks.

        Raises ``UserError`` for a study, a method or a class that is not there, and for a
        photograph that cannot be read.
        """
        from dait.evidence.photo_predictions import predicted_networks

        (path,) = _paths(file, most=1)
        opened = self.comparisons.get(study_id)
        comparison = opened.comparison
        try:
            seen = read_photo(path, comparison.framing)
            shown = read_photo(path, comparison.framing.at(SHOWN_PIXELS))
        except BadImage as error:
            raise UserError(f"{path.name} {error.reason}.") from error
        failures = comparison.load()
        # The first passes of all, so not timed.
        explanations = opened.row(seen, Question(method, target))
        networks = predicted_networks(comparison, seen, passes=PASSES)
        return Explained(
            Picture(seen, shown, None, path.name),
            {"image": path.name, "networks": networks},
            explanations,
            comparison,
            _left_out(opened, failures),
        )


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """``(S, S, 3)`` uint8 at ``THUMBNAIL_PIXELS``, without reading the photograph once more."""
    size = (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _paths(files: object, most: int = MOST_PHOTOS) -> list[Path]:
    listed: Sequence[object] = files if isinstance(files, (list, tuple)) else [files]
    paths = [Path(file) for file in listed if isinstance(file, str) and file]
    if not paths or len(paths) != len(listed):
        raise UserError("Choose a photograph first.")
    if len(paths) > most:
        raise UserError(f"These are {len(paths)} photographs; at most {most} are taken at once.")
    return paths


def _left_out(opened: OpenComparison, failures: dict[str, str]) -> list[str]:
    titles = {member.key: member.title for member in opened.comparison.members}
    return [hide_paths(f"Without {titles[key]}: {sentence}") for key, sentence in failures.items()]
