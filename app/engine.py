"""The heavy half of the app: everything that needs PyTorch, timm or scikit-learn.

``app.server.loader`` imports this module once, behind the served page. Nothing else may import it:
a module of the page reaches it by ``loader.engine()``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import open_clip  # noqa: F401 - here and below: what the engine imports at its first use
import plotly.io
import pytorch_grad_cam.metrics.road  # noqa: F401
import scipy.io
import scipy.linalg
import scipy.stats  # noqa: F401
import sklearn.decomposition
import sklearn.linear_model
import sklearn.manifold
import sklearn.metrics
import sklearn.preprocessing  # noqa: F401
import timm  # noqa: F401
import torch

import dait.api
import dait.evidence.heatmaps.cam
import dait.teachers.openclip.demo
from dait.arms.catalogue import plan_of
from dait.bundle.deployment import DeployedForm, deployed_forms
from dait.bundle.push import Repository
from dait.config.arms import Arm
from dait.config.recipe import Recipe
from dait.data.base import Dataset, SplitName
from dait.data.inspection.report import DataReport, report
from dait.distributed import devices
from dait.evaluation.advice import Advice
from dait.evaluation.elsewhere import ElsewhereFigures, evaluate_elsewhere
from dait.evaluation.evaluate import evaluate_run
from dait.evaluation.frozen_teacher import TeacherAccuracy, measure_teacher
from dait.evaluation.networks import shared_teacher
from dait.evaluation.runs import EvaluatedRun
from dait.events import Emit, Note
from dait.evidence.comparison import Comparison
from dait.evidence.figures.export import export_figure
from dait.evidence.figures.rows import figure_csv
from dait.evidence.report.build import make_report
from dait.evidence.report.exhibits import exhibit_section
from dait.evidence.report.inputs import ReportInputs, gather
from dait.evidence.report.section import Section
from dait.evidence.search import Found, check_query, not_known, search, why_unread
from dait.models.catalogue import all_names
from dait.models.facts import NetworkFacts, network_facts
from dait.models.network import build_network
from dait.models.spec import NetworkSpec
from dait.runs.data import open_data, recipe_of
from dait.runs.folder import RunFolder, StudyFolder
from dait.storage.processors import processors
from dait.study.rough import rough_seconds
from dait.teachers.base import FrozenTeacher
from dait.teachers.registry import load_teacher
from dait.teachers.zero_shot import ZeroShot


class Engine:
    """What the page asks of the engine and could not import before it was served."""

    def __init__(self) -> None:
        # Two forward passes at once, each with a thread per processor, wait for one another: a
        # pass took ten times as long.
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, processors() // 2))

    def devices(self) -> list[str]:
        """What can be computed on here, the default first."""
        return devices()

    def network_names(self) -> list[str]:
        """Every network of timm and torchvision."""
        return all_names()

    def network_facts(self, spec: NetworkSpec, classes: int, image_size: int) -> NetworkFacts:
        """Parameters, MACs and feature map. Raises ``UserError`` if it cannot be built."""
        return network_facts(spec, classes, image_size)

    def check_network(self, spec: NetworkSpec, image_size: int) -> None:
        """Raise ``UserError`` unless the network can be built for images of this size."""
        build_network(spec, num_classes=2, image_size=image_size)

    def stage_network(self, recipe: Recipe, role: str) -> NetworkSpec | None:
        """The network that ``kd`` or ``takd`` trains in this role; None where neither has it."""
        arms: tuple[Arm, ...] = ("kd", "takd")
        stages = (stage for arm in arms for stage in plan_of(arm).stages(recipe))
        return next((stage.network for stage in stages if stage.role == role), None)

    def rough_seconds(self, recipe: Recipe, arms: Sequence[Arm], seeds: Sequence[int]) -> float:
        """A first guess of how long a study takes here."""
        return rough_seconds(recipe, arms, seeds)

    def open_data(self, recipe: Recipe, emit: Emit) -> Dataset:
        """The recipe's data, decoded."""
        return open_data(recipe, emit)

    def report(self, dataset: Dataset, emit: Emit) -> DataReport:
        """What to know about the data before training."""
        return report(dataset, emit)

    def advise(self, recipe: Recipe, regimes: Path, emit: Emit) -> Advice:
        """Which arms are worth training with this recipe, by a map of regimes."""
        return dait.api.advise(recipe.data.source, recipe, regimes=regimes, emit=emit)

    def zero_shot(self, teacher: str, dataset: Dataset, emit: Emit) -> ZeroShot:
        """Scores prompts of this teacher on the validation images."""
        emit(Note("Loading the frozen teacher"))
        loaded = load_teacher(teacher)
        emit(Note("Embedding the validation images"))
        return ZeroShot(loaded, dataset)

    def measure_teacher(self, recipe: Recipe, emit: Emit) -> TeacherAccuracy:
        """A recipe's frozen teacher on the recipe's validation images; kept, too."""
        emit(Note("Loading the frozen teacher"))
        teacher = load_teacher(recipe.teacher.name, recipe.teacher.image_size, emit)
        data, prompts = open_data(recipe, emit), recipe.teacher.prompts
        return measure_teacher(teacher, data, "val", prompts, called=recipe.data.source, emit=emit)

    def teacher(self, name: str, image_size: int | None, emit: Emit) -> FrozenTeacher:
        """A frozen teacher, ready for its first query."""
        emit(Note("Loading the frozen teacher"))
        teacher = shared_teacher(name, image_size)
        if teacher.reads_text:
            teacher.embed_text(["a bird"])  # the first sentence is slower than the following ones
        return teacher

    def check_query(self, text: object) -> str:
        """The query without spaces around it. Raises ``UserError`` if it cannot be embedded."""
        return check_query(text)

    def search(
        self, teacher: FrozenTeacher, embeddings: np.ndarray, query: str, count: int
    ) -> Found:
        """The images nearest to a query, of their ``(N, d)`` embeddings."""
        return search(teacher, embeddings, query, count)

    def unknown_words(self, words: tuple[str, ...]) -> str:
        """A sentence about words that the teacher does not know."""
        return not_known(words)

    def why_unread(self, teacher: str) -> str:
        """Why this teacher cannot be queried."""
        return why_unread(teacher)

    def report_inputs(
        self, folders: Sequence[Path], open_study: Callable[[StudyFolder], Comparison]
    ) -> ReportInputs:
        """What the report's sections are written from; nothing is measured that is not kept."""
        return gather(folders, open_study=open_study, measuring=False)

    def exhibit(self, key: str, inputs: ReportInputs, sweeps: Sequence[Path]) -> Section:
        """A section of the report by itself."""
        return exhibit_section(key, inputs, sweeps)

    def figure_csv(self, figure: str) -> str:
        """The data of a figure's JSON as CSV."""
        return figure_csv(plotly.io.from_json(figure))

    def report_page(self, folders: Sequence[Path], emit: Emit) -> str:
        """The report on studies as one HTML file."""
        return make_report(folders, emit=emit).html

    def check_repository(
        self, name: str, space: bool, asking: bool = False, overwrite: bool = False
    ) -> None:
        """Raise ``UserError`` unless a repository may be called so; asking: and may be written."""
        repository = Repository(name, space)
        if asking:
            repository.require_allowed(overwrite)

    def evaluate_split(self, run: RunFolder, split: SplitName, emit: Emit) -> EvaluatedRun:
        """A run on a split of its own data; its networks are run once."""
        return evaluate_run(run, split, emit)

    def evaluate_elsewhere(self, run: RunFolder, source: str, emit: Emit) -> ElsewhereFigures:
        """A run's student on every labelled image of another data set."""
        recipe = recipe_of(run).changed({"data.source": source, "data.labelled_per_class": None})
        return evaluate_elsewhere(run, open_data(recipe, emit), emit)

    def deployed_forms(self, runs: Sequence[RunFolder]) -> list[DeployedForm]:
        """What was measured of these runs' students as exported files."""
        return deployed_forms(runs)

    def export_figure(self, figure: str, kind: str, title: str) -> bytes:
        """A figure's JSON as a file of this kind."""
        return export_figure(plotly.io.from_json(figure), kind, title)
