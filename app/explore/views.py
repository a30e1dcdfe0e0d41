"""The Explore tab's figures, and the search in a study's test images. No page here.

Study ids and queries may come from a browser: wrong ones raise ``UserError``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.background import Job, JobPool
from app.catalogue.teacher_figures import others_html
from app.comparisons.cache import Comparisons
from app.config import AppConfig
from app.explore.html import (
    Hit,
    attributes_table,
    matches_html,
    readings_table,
    tiles_html,
    unprobed_html,
)
from app.pipeline.diagram import pipeline_html
from app.pipeline.facts import pipeline_of_study
from app.server.loader import engine
from app.studies.entries import open_study, recipe_of
from app.ui.pictures import picture_address
from app.ui.plot import figure_json
from dait.errors import UserError
from dait.evaluation.records import StudyRecord, read_study, read_teacher
from dait.evaluation.results.probes import FILE_NAME, read_probe_results
from dait.evidence import figures
from dait.runs.folder import StudyFolder

if TYPE_CHECKING:
    from dait.teachers.base import FrozenTeacher

MATCHES = 12
MAX_WAIT_SECONDS = 300.0
"""Seconds that a query waits for the teacher to be loaded."""
KEPT_PICTURES = 600
PICTURE_PIXELS = 160

BIRD_EXAMPLES = (
    "a bird with a red crown and two wing bars",
    "a duck in a marsh",
    "a raptor with a dark breast band",
    "a bird in the snow",
    "a wader with orange legs",
)


@dataclass(frozen=True)
class ProbePanel:
    """What is known of a study's teacher and netjobs, as HTML and a figure's JSON.

    Empty or None: not measured. why_no_text: why its teacher cannot be queried, or empty.
    """

    about: str
    pipeline: str
    bars: str | None
    attributes: str
    readings: str
    examples: tuple[str, ...]
    why_no_text: str


@dataclass(frozen=True)
class SearchResult:
    """Matches as HTML; message: how the query was read, or empty."""

    matches: str
    message: str


class ExploreViews:
    """The frozen teachers of one app's finished studies. Thread-safe."""

    def __init__(self, config: AppConfig, comparisons: Comparisons) -> None:
        self.config = config
        self._comparisons = comparisons
        self._teachers: JobPool[FrozenTeacher] = JobPool()
        self._pictures: OrderedDict[tuple[Any, ...], str] = OrderedDict()
        self._lock = threading.Lock()

    def figures(self, study_id: object, columns: int) -> ProbePanel:
        """Everything but search results; loads no netjob."""
        folder = open_study(self.config, study_id)
        description, recipe = folder.description(), recipe_of(folder).model_dump()
        found = read_probe_results(folder.path / FILE_NAME)
        teacher = _teacher_facts(description)
        examples = _examples(recipe, description)
        why = ""
        if not teacher.get("reads_text", True):
            why = engine().why_unread(str(teacher.get("name")))
        others = others_html(self.config, recipe)
        pipeline = pipeline_html(pipeline_of_study(folder, self.config.paths))
        if found is None:
            about = unprobed_html(teacher, self._command(folder)) + others
            return ProbePanel(about, pipeline, None, "", "", examples, why)
        drawn = found.attributes is not None
        bars = figure_json(figures.attribute_bars(found.attributes, columns=columns))
        return ProbePanel(
            about=tiles_html(found.teacher, found) + others,
            pipeline=pipeline,
            bars=bars if drawn else None,
            attributes=attributes_table(found) if drawn else "",
            readings=readings_table(found),
            examples=examples,
            why_no_text=why,
        )

    def preload(self, study_id: object) -> None:
        """Start loading a study's teacher, so that its first query does not wait for it."""
        self._loading(open_study(self.config, study_id))

    def ask(self, study_id: object, text: object) -> SearchResult:
        """The test images nearest to a sentence.

        Raises ``UserError`` for a query or a teacher that cannot be used.
        """
        folder = open_study(self.config, study_id)
        query = engine().check_query(text)
        teacher = self._teacher(folder)
        record = read_study(folder)
        found = engine().search(teacher, _embeddings(record, teacher), query, MATCHES)
        message = []
        if found.unknown:
            message.append(f"{engine().unknown_words(found.unknown)} It read the rest.")
        if found.cut:
            message.append(f"The sentence is longer than the teacher reads: {found.cut}.")
        hits = [self._hit(study_id, match.index, match.similarity) for match in found.matches]
        return SearchResult(matches_html(found.query, hits), " ".join(message))

    def _teacher(self, folder: StudyFolder) -> FrozenTeacher:
        job = self._loading(folder)
        if not job.wait(MAX_WAIT_SECONDS):
            raise UserError("The teacher is still being loaded. Try again in a moment.")
        if job.result is None:
            raise UserError(str(job.error))
        return job.result

    def _loading(self, folder: StudyFolder) -> Job[FrozenTeacher]:
        described = recipe_of(folder).teacher
        name, size = described.name, described.image_size
        key = (name, size)
        job = self._teachers.get(key)
        if job is None or job.error is not None:
            job = self._teachers.start(key, lambda emit: engine().teacher(name, size, emit))
        return job

    def _hit(self, study_id: object, index: int, similarity: float) -> Hit:
        opened = self._comparisons.get(study_id)
        comparison = opened.comparison
        name = comparison.classes[int(comparison.labels[index])].name
        key = (str(comparison.study.path), comparison.study.status().get("updated"), index)
        with self._lock:
            address = self._pictures.get(key)
        if address is None:
            address = picture_address(comparison.test_image(index)[0], PICTURE_PIXELS)
        with self._lock:
            self._pictures[key] = address
            self._pictures.move_to_end(key)
            while len(self._pictures) > KEPT_PICTURES:
                self._pictures.popitem(last=False)
        return Hit(index, address, name, similarity)

    def _command(self, folder: StudyFolder) -> str:
        name = _teacher_facts(folder.description()).get("name")
        # Other visitors do not learn where files are on this machine.
        path = folder.path if self.config.paths else folder.path.name
        return f"python -m dait teacher probe {name} --study {path}"


def _embeddings(record: StudyRecord, teacher: FrozenTeacher) -> np.ndarray:
    path = record.folder.path
    arrays = read_teacher(record)
    if arrays is None:
        raise UserError(f"There is no teacher.npz in {path.name}; train the study again.")
    if record.teacher.get("weights_hash", teacher.weights_hash) != teacher.weights_hash:
        raise UserError(
            f"The teacher {teacher.name} has changed since this study was trained, so the "
            "study's embeddings no longer fit it. Choose another study, or train this one again."
        )
    return arrays["embeddings"]


def _teacher_facts(description: dict[str, Any]) -> dict[str, Any]:
    return description.get("teacher") or {}


def _examples(recipe: dict[str, Any], description: dict[str, Any]) -> tuple[str, ...]:
    if recipe["data"]["source"] == "fieldguide":
        return BIRD_EXAMPLES
    names = [row["name"] for row in description.get("classes") or ()]
    spread = names[:: max(1, len(names) // len(BIRD_EXAMPLES))][: len(BIRD_EXAMPLES)]
    return tuple(f"a photo of a {name}" for name in spread)
