"""What a folder on disk was trained with: its runs, its study, its recipe and its images."""

from __future__ import annotations

from pathlib import Path

from dait.config.recipe import Recipe, parse_recipe
from dait.data.base import Dataset
from dait.data.sources.registry import open_dataset
from dait.errors import UserError
from dait.events import Emit
from dait.runs.folder import RunFolder, StudyFolder
from dait.storage.paths import runs_folder

FIELD_GUIDE_ONLY = (
    *("train_per_class", "val_per_class", "test_per_class", "species"),
    *("differing", "label_noise", "long_tail"),
)
"""Settings of ``DataConfig`` that a folder of photographs refuses."""


def runs_in(path: Path) -> list[RunFolder]:
    """The runs of a study's folder, or the run whose folder this is.

    Raises ``UserError`` for any other folder and for a damaged study.
    """
    if (path / "study.json").is_file():
        study = StudyFolder(path)
        problem = study.problem()
        if problem is not None:
            raise UserError(problem)
        return study.runs()
    run = RunFolder(path)
    if run.begun:
        return [run]
    raise UserError(
        f"{path} holds neither a study (study.json) nor a run (config.yaml). Name the folder of "
        "one."
    )


def study_around(path: Path) -> StudyFolder:
    """The study of this folder, or of the run whose folder it is. Raises ``UserError``."""
    for folder in (path, path.absolute().parent):
        if (folder / "study.json").is_file():
            return StudyFolder(folder)
    raise UserError(f"{path} is no study and no run of one, so nothing says which images it knows.")


def recipe_of(run: RunFolder) -> Recipe:
    """The recipe that a run was trained with. Raises ``UserError`` where it is damaged."""
    raw = {key: value for key, value in run.config().items() if key not in ("arm", "seed")}
    return parse_recipe(raw, str(run.path / "config.yaml"))


def open_data(recipe: Recipe, emit: Emit) -> Dataset:
    """The recipe's data set. Raises ``UserError`` where it cannot be opened."""
    options = recipe.data.model_dump()
    if recipe.data.source != "fieldguide":
        for name in FIELD_GUIDE_ONLY:
            del options[name]
    return open_dataset(emit=emit, **options)


def open_data_of(folder: Path, recipe: Recipe, emit: Emit) -> Dataset:
    """``open_data`` for a study or a run on disk: ``UserError`` says what to do if images moved."""
    try:
        return open_data(recipe, emit)
    except UserError as error:
        raise UserError(f"{error}{moved_hint(folder, recipe)}") from error


def moved_hint(folder: Path, recipe: Recipe) -> str:
    """How to say where the images of a study are now; empty where they are at their old place."""
    source = Path(recipe.data.source)
    if not source.is_absolute() or source.exists():
        return ""
    try:
        study = study_around(folder).path.absolute()
    except UserError:
        return ""
    named = study.name if study.parent == runs_folder() else study
    return (
        " If they have moved, say where they are now: "
        f"`python -m dait study --resume {named} --data FOLDER`."
    )
