"""A study or a run on disk as a row of networks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from dait.config.arms import arm_title
from dait.data.base import ClassInfo
from dait.data.images.frame import Framing
from dait.errors import UserError
from dait.evaluation.networks import trained_network
from dait.evaluation.records import INTERMEDIATE, ComparedNetwork, classes_around
from dait.evidence.comparison import Comparison
from dait.evidence.heatmaps.explanation import Loader, Trained
from dait.evidence.heatmaps.row import NetworkRow
from dait.models.checkpoint import load_network
from dait.runs.data import recipe_of
from dait.runs.folder import RunFolder, StudyFolder


def open_row(path: Path, seed: int | None = None) -> NetworkRow:
    """A study's folder as a ``Comparison``; a run's as the row of its networks.

    A run names its classes from the study it lies in, or else by their keys.
    Raises ``UserError`` for anything else, and for a damaged or unfinished one.
    """
    if (path / "study.json").is_file():
        return Comparison(StudyFolder(path), seed)
    run = RunFolder(path)
    if not run.student.is_file():
        found = "a run that has no student yet" if (path / "config.yaml").is_file() else "neither"
        raise UserError(
            f"{path} should be the folder of a study (with study.json) or of a run (with "
            f"student.safetensors); it is {found}."
        )
    student = load_network(run.student)
    networks: dict[str, Loader] = {}
    trained: dict[str, Trained] = {}
    members: list[ComparedNetwork] = []
    keys = tuple(student.classes)
    if run.intermediate.is_file():
        members.append(ComparedNetwork(INTERMEDIATE, INTERMEDIATE, arm_title(INTERMEDIATE)))
        networks[INTERMEDIATE] = partial(trained_network, run.intermediate, keys)
        trained[INTERMEDIATE] = Trained(run, INTERMEDIATE)
    arm, key = student.description.arm, path.resolve().name
    members.append(ComparedNetwork(key, arm, arm_title(arm)))
    networks[key] = lambda: student.network
    trained[key] = Trained(run, "student")
    classes = classes_around(path)
    if tuple(info.key for info in classes) != keys:
        classes = tuple(ClassInfo(key, key) for key in keys)
    # Weights alone say no more than the size.
    framing = Framing(student.description.image_size)
    if (path / "config.yaml").is_file():
        framing = recipe_of(run).data.framing
    return NetworkRow(members, classes, framing, networks, trained)
