"""The runs of a study: written before anything is trained, and read to resume it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dait.config.arms import ARMS, Arm
from dait.config.recipe import Recipe, parse_recipe
from dait.errors import UserError
from dait.runs.data import runs_in
from dait.runs.folder import RunFolder, StudyFolder

Resume = bool | Literal["auto"] | Path
"""True: resume the study that is there; ``auto``: resume it if there is one, else begin it; a path:
resume that study. False: begin one, and overwrite nothing."""


@dataclass(frozen=True)
class PlannedRun:
    """One arm with one seed; its number in the plan is its task."""

    arm: Arm
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


@dataclass(frozen=True)
class StudyPlan:
    """A study's folder, its recipe, and its runs in the order in which they are trained.

    resumed: the folder was there before, and its runs are resumed. reuse: earlier studies and runs,
    whose intermediate teachers are reused instead of training the very same ones again.
    accept_versions: accept that other versions of libraries read the images (``study.moved``).
    """

    folder: StudyFolder
    recipe: Recipe
    runs: tuple[PlannedRun, ...]
    resumed: bool = False
    accept_versions: bool = False
    reuse: tuple[Path, ...] = ()

    def run_folder(self, run: PlannedRun) -> RunFolder:
        """Where a run is kept, whether or not it has begun."""
        return self.folder.run(run.arm, run.seed)

    def results(self) -> list[dict[str, Any] | None]:
        """``result.json`` of every run, None for those that are not finished."""
        return [self.run_folder(run).result() for run in self.runs]

    def missing(self) -> list[int]:
        """The numbers of the runs without a result."""
        return [index for index, result in enumerate(self.results()) if result is None]


def begin_study(
    recipe: Recipe,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    out: Path,
    resume: Resume = False,
    reuse: Sequence[Path] = (),
) -> StudyPlan:
    """The plan of a study, written to ``study.json`` in ``out``, or the one that is there already.

    Raises UserError when there is nothing to train, when ``out`` holds a study and ``resume`` is
    False, when it holds none and ``resume`` asks for one, when it is a study of something else, and
    when there is no study or run in a path of ``reuse``.
    """
    if not arms or not seeds:
        raise UserError("A study needs at least one arm and one seed.")
    runs = tuple(PlannedRun(arm, seed) for seed in seeds for arm in arms)
    folder = StudyFolder(resume if isinstance(resume, Path) else out)
    there = (folder.path / "study.json").exists()
    if resume and (there or resume != "auto"):
        return _same(read_plan(folder), recipe, runs)
    earlier = tuple(path.absolute() for path in reuse)
    for path in earlier:
        runs_in(path)
    folder.create(
        {
            "name": recipe.name,
            "recipe": recipe.model_dump(),
            "arms": list(arms),
            "seeds": list(seeds),
            "reuse": [str(path) for path in earlier],
            "runs": [
                {"arm": run.arm, "seed": run.seed, "dir": f"{run.arm}-s{run.seed}"} for run in runs
            ],
        }
    )
    return StudyPlan(folder, recipe, runs, reuse=earlier)


def read_plan(folder: StudyFolder) -> StudyPlan:
    """The plan of a study that was begun. Raises UserError where there is none."""
    if not (folder.path / "study.json").exists():
        raise UserError(
            f"There is nothing to resume in {folder.path}: it has no study.json. Give the folder "
            "of a study or of one of its runs, or start the study again."
        )
    study = folder.description()
    if "recipe" not in study:
        raise UserError(f"{folder.path / 'study.json'} holds no recipe: start the study again.")
    recipe = parse_recipe(study["recipe"], str(folder.path / "study.json"))
    try:
        runs = tuple(PlannedRun(_arm(row["arm"]), int(row["seed"])) for row in study["runs"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder.path / 'study.json'} is damaged ({error!r} in its list of runs)."
        ) from error
    if not runs:
        raise UserError(f"{folder.path / 'study.json'} lists no runs: start the study again.")
    earlier = tuple(Path(path) for path in study.get("reuse", ()))
    return StudyPlan(folder, recipe, runs, resumed=True, reuse=earlier)


def find_run(path: Path) -> tuple[StudyPlan, int]:
    """The study and the task of a run's folder, or of the folder of a study of one run.

    Raises UserError for any other folder.
    """
    if (path / "study.json").exists():
        plan = read_plan(StudyFolder(path))
        if len(plan.runs) > 1:
            raise UserError(
                f"{path} is a study of {len(plan.runs)} runs. Resume all of them with "
                f"`python -m dait study --resume {path}`, or give the folder of one."
            )
        return plan, 0
    plan = read_plan(StudyFolder(path.absolute().parent))
    names = [plan.run_folder(run).path.name for run in plan.runs]
    if path.absolute().name not in names:
        raise UserError(f"{path} is no run of its study, which has {', '.join(names)}.")
    return plan, names.index(path.absolute().name)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """The dotted keys in which two plain mappings differ, in the order of the first."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        below = [(f"{where}.{key}" if where else str(key), key) for key in keys]
        return [
            found
            for name, key in below
            for found in differences(one.get(key), other.get(key), name)
        ]
    return [] if one == other else [where]


def _same(plan: StudyPlan, recipe: Recipe, runs: tuple[PlannedRun, ...]) -> StudyPlan:
    changed = differences(plan.recipe.model_dump(), recipe.model_dump())
    if plan.runs != runs:
        changed.append("its arms and seeds")
    if changed:
        raise UserError(
            f"{plan.folder.path} is a study of something else: {', '.join(changed)} differ. Choose "
            "another folder, or resume it as it was begun."
        )
    return plan


def _arm(name: Any) -> Arm:
    for arm in ARMS:
        if arm == name:
            return arm
    raise ValueError(f"no arm {name!r}")
