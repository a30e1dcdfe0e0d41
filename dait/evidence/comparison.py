"""Everything about one finished study: networks, figures, test images; no page, no printing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dait.errors import UserError
from dait.evaluation.arms import comparison_table
from dait.evaluation.features.maps import Tsne, is_placed
from dait.evaluation.features.similarity import (
    class_similarity,
    intra_inter,
    knn_accuracy,
    linear_cka,
)
from dait.evaluation.records import (
    INTERMEDIATE,
    VLM,
    StudyRecord,
    intermediate_run,
    read_seed,
    read_study,
)
from dait.evidence.finding import Finding, read_finding
from dait.evidence.heatmaps.explanation import Loader, Trained
from dait.evidence.heatmaps.row import NetworkRow
from dait.evidence.selection import disputed, test_slices
from dait.evidence.single_images import SingleImages
from dait.runs.data import moved_hint
from dait.runs.folder import StudyFolder

if TYPE_CHECKING:
    from torch import nn

FIGURES = ("table", "finding", "tsne", "similarity", "representation", "slices")

T = TypeVar("T")


class Comparison(NetworkRow):
    """The networks of one seed of a finished study, and what is known of them.

    ``members`` are the frozen teacher (``vlm``), the intermediate teacher, and the students in the
    order of ``ARMS``: those that exist. Networks are loaded when first needed and
    figures computed once, so it is worth keeping; several threads may use it.

    Also: ``seed``, ``seeds`` (those that can be opened), ``recipe``, ``study`` (its folder).
    """

    def __init__(self, study: StudyFolder, seed: int | None = None) -> None:
        """Of ``seed``, by default the first. Raises ``UserError`` if unfinished or damaged."""
        problem = study.problem()
        if problem is not None:
            raise UserError(problem)
        state = study.state()
        if state != "finished":
            raise UserError(
                f"The study {study.path.name} cannot be compared: it is {state}, not finished. "
                "Wait for it or train it again; its finished runs can be opened one by one."
            )
        self._record = read_study(study)
        self.study = study
        self.recipe = self._record.recipe
        # Where none can be opened, reading the first says what is missing.
        self.seeds = self._record.open_seeds or self._record.seeds
        self.seed = self.seeds[0] if seed is None else seed
        if self.seed not in self.seeds:
            raise UserError(
                f"The study {study.path.name} has no run to open with seed {seed}; it has "
                f"{', '.join(map(str, self.seeds))}."
            )
        self._here = read_seed(self._record, self.seed)
        super().__init__(
            self._here.members,
            self._record.classes,
            self.recipe.data.framing,
            self._loaders_of_members(),
            self._trained_members(),
        )
        self._images = SingleImages(self.recipe.data, partial(moved_hint, study.path, self.recipe))
        self._kept: dict[str, Any] = {}
        # One for each figure: a table should not wait for a t-SNE map.
        self._computing = {name: threading.Lock() for name in FIGURES}

    @property
    def labels(self) -> np.ndarray:
        """``(N,)`` int64, of the test split."""
        return self._here.labels

    @property
    def ids(self) -> tuple[str, ...]:
        """The N names of the test images."""
        return self._here.ids

    @property
    def logits(self) -> Mapping[str, np.ndarray]:
        """``(N, C)`` float32 of the test split, by member key."""
        return self._here.logits

    @property
    def features(self) -> Mapping[str, np.ndarray]:
        """``(N, d)`` float32 of the test split, by member key."""
        return self._here.features

    def slices(self) -> Mapping[str, np.ndarray]:
        """Names to ``(N,)`` strings that cut the test split; none where nothing is known of it."""
        return self._once("slices", lambda: test_slices(self._record, self._here))

    def results(self) -> list[dict[str, Any]]:
        """``result.json`` of every finished run of every seed, for the figures."""
        return [dict(run.result) for runs in self._record.runs.values() for run in runs]

    def table(self) -> list[dict[str, Any]]:
        """A row a network; see ``dait.evaluation.arms.comparison_table`` for its keys."""
        return self._once("table", lambda: comparison_table(self._record, self._here))

    def finding(self) -> Finding:
        """What the study found, over all seeds."""
        return self._once("finding", lambda: read_finding(self._record))

    def disputed(self) -> list[int]:
        """The test images that some students name right and others wrong, the most disputed first
        (``dait.evidence.selection.disputed``)."""
        students = {
            member.key: self.logits[member.key]
            for member in self.members
            if member.role not in (VLM, INTERMEDIATE)
        }
        return [int(index) for index in disputed(students, self.labels)]

    def example(self) -> int:
        """The most disputed test image, or the first of the gallery where none is disputed."""
        disputed = self.disputed()
        return disputed[0] if disputed else self.gallery(1)[0]

    def test_image(self, index: int) -> tuple[np.ndarray, int]:
        """``(S, S, 3)`` uint8 and the label of one test image, drawn or decoded singly.

        Raises ``UserError`` for an index out of range, and where the photographs are gone.
        """
        if not 0 <= index < len(self.labels):
            raise UserError(
                f"There is no test image {index}: they are numbered 0 to {len(self.labels) - 1}."
            )
        image = self._images.image(index, self.ids[index])
        return image, int(self.labels[index])

    def gallery(self, count: int) -> list[int]:
        """At most ``count`` test indices, spread over the classes, in the classes' order."""
        images = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        chosen: list[int] = []
        for turn in range(max(map(len, images), default=0)):
            having = [int(own[turn]) for own in images if turn < len(own)]
            take = min(len(having), count - len(chosen))
            chosen += [having[(2 * place + 1) * len(having) // (2 * take)] for place in range(take)]
        return sorted(chosen, key=lambda index: (int(self.labels[index]), index))

    def tsne(self) -> Tsne:
        """Up to 500 test images placed by t-SNE, from ``tsne.npz`` where it is there.

        Else it takes seconds a network. Raises ``UserError`` with fewer than 5 test images.
        """
        return self._once("tsne", self._tsne)

    def is_placed(self) -> bool:
        """Whether ``tsne`` has nothing to compute."""
        return "tsne" in self._kept or is_placed(self._record, self._here)

    def similarity(self) -> dict[str, np.ndarray]:
        """``(C, C)`` cosines between the classes' mean features, by member key."""
        return self._once("similarity", self._similarity)

    def representation(self) -> list[dict[str, Any]]:
        """A row a member, of its features on the test split: ``key``, ``role``, ``title``.

        ``intra``, ``inter``, ``gap`` (mean cosines), ``knn`` (leave one out, k = 5),
        ``silhouette``, ``cka_vlm`` and ``cka_intermediate`` (linear CKA; None where there is none
        to compare with).
        """
        return self._once("representation", self._representation)

    def _tsne(self) -> Tsne:
        from dait.evaluation.features.projection import place  # brings scikit-learn

        return place(self._record, self._here)

    def _similarity(self) -> dict[str, np.ndarray]:
        count = len(self.classes)
        return {
            key: class_similarity(rows, self.labels, count)
            for key, rows in self._here.features.items()
        }

    def _representation(self) -> list[dict[str, Any]]:
        from dait.evaluation.features.projection import silhouette  # brings scikit-learn

        features = self._here.features
        rows: list[dict[str, Any]] = []
        for member in self.members:
            own = features[member.key]
            cka = {
                f"cka_{other}": linear_cka(own, features[other]) if other in features else None
                for other in (VLM, INTERMEDIATE)
            }
            rows.append(
                {
                    "key": member.key,
                    "role": member.role,
                    "title": member.title,
                    **intra_inter(own, self.labels)._asdict(),
                    "knn": knn_accuracy(own, self.labels) if len(own) > 1 else None,
                    "silhouette": silhouette(own, self.labels),
                    **cka,
                }
            )
        return rows

    def _trained_members(self) -> dict[str, Trained]:
        runs = self._record.runs[self.seed]
        trained = {run.folder.path.name: Trained(run.folder, "student") for run in runs}
        taught = intermediate_run(self._record, self.seed)
        return trained | (
            {} if taught is None else {INTERMEDIATE: Trained(taught.folder, INTERMEDIATE)}
        )

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        with self._computing[name]:
            if name not in self._kept:
                self._kept[name] = compute()
            found: T = self._kept[name]
            return found

    def _loaders_of_members(self) -> dict[str, Loader]:
        runs = self._record.runs[self.seed]
        # Where no run has the file the intermediate teacher's cell says so: what was measured of it
        # is still worth showing.
        taught = intermediate_run(self._record, self.seed) or runs[0]
        files: dict[str, Path | None] = {VLM: None, INTERMEDIATE: taught.folder.intermediate}
        files |= {run.folder.path.name: run.folder.student for run in runs}
        return {key: partial(_network, self._record, path) for key, path in files.items()}


def _network(study: StudyRecord, path: Path | None) -> nn.Module:
    """The network in a file, or the frozen teacher."""
    from dait.evaluation.networks import teacher_scores, trained_network  # brings PyTorch

    if path is None:
        return teacher_scores(study)
    return trained_network(path, tuple(info.key for info in study.classes))
