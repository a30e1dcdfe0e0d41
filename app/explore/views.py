"""What the Explore tab shows of a study's frozen teacher; no page in here.

Study ids and queries may come from a browser: what is wrong with them is raised as ``UserError``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.background import Work, Workers
from app.catalogue.teacher_figures import others_html
from app.comparisons.cache import Comparisons
from app.config import AppConfig
from app.explore.html import (
    Hit,
    attributes_table,
    brief_html,
    matches_html,
    readings_table,
    tiles_html,
)
from app.pipeline.diagram import pipeline_html
from app.pipeline.facts import pipeline_of_study
from app.studies.entries import open_study, recipe_of
from app.ui.pictures import picture_address
from app.ui.plot import figure_json
from dait.errors import UserError
from dait.events import Emit, Note
from dait.evidence import figures
from dait.evidence.probes.results import FILE_NAME, read_probe_results
from dait.runs.folder import StudyFolder

if TYPE_CHECKING:
    from dait.evaluation.records import StudyRecord
    from dait.teachers.base import FrozenTeacher

MATCHES = 12
LONGEST_WAIT = 300.0
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
    """What is known of a study's teacher and networks, as HTML and a figure's JSON; empty or None
    what was not measured. ``why_silent``: why its teacher cannot be asked, or empty."""

    about: str
    pipeline: str
    bars: str | None
    attributes: str
    readings: str
    examples: tuple[str, ...]
    why_silent: str


@dataclass(frozen=True)
class SearchResult:
    """Matches as HTML; ``message``: what to know about how the query was read, or empty."""

    matches: str
    message: str


class ExploreViews:
    """The frozen teachers of one app's finished studies. Several threads may ask."""

    def __init__(self, config: AppConfig, comparisons: Comparisons) -> None:
        self.config = config
        self._comparisons = comparisons
        self._teachers: Workers[FrozenTeacher] = Workers()
        self._pictures: OrderedDict[tuple[Any, ...], str] = OrderedDict()
        self._lock = threading.Lock()

    def figures(self, study_id: object, columns: int) -> ProbePanel:
        """Everything but the answers to queries; no network is loaded for it."""
        folder = open_study(self.config, study_id)
        description, recipe = folder.description(), recipe_of(folder).model_dump()
        found = read_probe_results(folder.path / FILE_NAME)
        teacher = _teacher_facts(description)
        examples = _examples(recipe, description)
        why = "" if teacher.get("reads_text", True) else _silent(str(teacher.get("name")))
        others = others_html(self.config, recipe)
        pipeline = pipeline_html(pipeline_of_study(folder, self.config.paths))
        if found is None:
            about = brief_html(teacher, self._command(folder)) + others
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
            why_silent=why,
        )

    def warm(self, study_id: object) -> None:
        """Begin to load the teacher of a study, so that its first query need not wait for it."""
        self._loading(open_study(self.config, study_id))

    def ask(self, study_id: object, text: object) -> SearchResult:
        """The test images nearest to a sentence.

        Raises ``UserError`` for a query or a teacher that will not do: ``dait.evidence.search``.
        """
        from dait.evaluation.records import read_study
        from dait.evidence.search import check_query, not_known, search

        folder = open_study(self.config, study_id)
        query = check_query(text)
        teacher = self._teacher(folder)
        record = read_study(folder)
        found = search(teacher, _embeddings(record, teacher), query, MATCHES)
        message = []
        if found.unknown:
            message.append(f"{not_known(found.unknown)} It read the rest.")
        if found.cut:
            message.append(f"The sentence is longer than the teacher reads: {found.cut}.")
        hits = [self._hit(study_id, match.index, match.similarity) for match in found.matches]
        return SearchResult(matches_html(found, hits), " ".join(message))

    def _teacher(self, folder: StudyFolder) -> FrozenTeacher:
        work = self._loading(folder)
        if not work.wait(LONGEST_WAIT):
            raise UserError("The teacher is still being loaded. Ask again in a moment.")
        if work.result is None:
            raise UserError(str(work.error))
        return work.result

    def _loading(self, folder: StudyFolder) -> Work[FrozenTeacher]:
        described = recipe_of(folder).teacher
        name, size = described.name, described.image_size
        key = (name, size)
        work = self._teachers.get(key)
        if work is None or work.error is not None:
            work = self._teachers.start(key, lambda emit: _load(name, size, emit))
        return work

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
        # Strangers are not told where things lie on this machine.
        path = folder.path if self.config.paths else folder.path.name
        return f"python -m dait teacher probe {name} --study {path}"


def _load(name: str, image_size: int | None, emit: Emit) -> FrozenTeacher:
    from dait.evidence.heatmaps.networks import shared_teacher

    emit(Note("Loading the frozen teacher"))
    teacher = shared_teacher(name, image_size)
    if teacher.reads_text:
        teacher.embed_text(["a bird"])  # the first sentence is slower than all that follow
    return teacher


def _embeddings(record: StudyRecord, teacher: FrozenTeacher) -> np.ndarray:
    from dait.evaluation.records import read_teacher

    path = record.folder.path
    arrays = read_teacher(record)
    if arrays is None:
        raise UserError(f"There is no teacher.npz in {path.name}; train the study again.")
    if record.teacher.get("weights_hash", teacher.weights_hash) != teacher.weights_hash:
        raise UserError(
            f"The teacher {teacher.name} has changed since this study was trained, so it does not "
            "know the study's images any more. Choose another study, or train this one again."
        )
    return arrays["embeddings"]


def _teacher_facts(description: dict[str, Any]) -> dict[str, Any]:
    return description.get("teacher") or {}


def _silent(name: str) -> str:
    from dait.evidence.search import why_unread

    return why_unread(name)


def _examples(recipe: dict[str, Any], description: dict[str, Any]) -> tuple[str, ...]:
    if recipe["data"]["source"] == "fieldguide":
        return BIRD_EXAMPLES
    names = [row["name"] for row in description.get("classes") or ()]
    spread = names[:: max(1, len(names) // len(BIRD_EXAMPLES))][: len(BIRD_EXAMPLES)]
    return tuple(f"a photo of a {name}" for name in spread)
