"""What a report is made of: runs by the images they were tested on, open studies, what is left out.

Nothing is computed that is kept: answers, t-SNE maps and localisation are read where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dait.config.arms import arm_title
from dait.data.base import ClassInfo
from dait.errors import UserError
from dait.evaluation.arms import DIRECT, ArmRuns, arm_named, group_by_arm
from dait.evaluation.evaluate import evaluate_run
from dait.evaluation.networks import stored_networks
from dait.evaluation.results.localisation import Measurement, Settings
from dait.evaluation.results.outdated import current_localisation
from dait.evaluation.runs import EvaluatedRun
from dait.events import Emit, Note, ignore
from dait.evidence.comparison import Comparison
from dait.evidence.localisation.measure import measure
from dait.runs.data import open_data_of, recipe_of, runs_in
from dait.runs.folder import StudyFolder

FOCUS = "dait"
"""The arm that examples are chosen by, where it is there."""

LOCALISED_IMAGES = 200
"""Images measured where ``localise`` has not; that command takes more, and ROAD too."""


@dataclass(frozen=True)
class Omitted:
    """Something that was asked for and is not in the report."""

    what: str
    reason: str


@dataclass(frozen=True)
class TestSet:
    """Runs that learned from the same data and were tested on the same images.

    bases: a group's name to the arm that its gain is counted from: of the same student, and of the
    same study where that has it.
    """

    title: str
    groups: tuple[ArmRuns, ...]
    bases: Mapping[str, ArmRuns]

    @property
    def focus(self) -> ArmRuns | None:
        """The group whose mistakes and gains are shown, of those whose answers are known."""
        known = [group for group in self.groups if group.predictions]
        ranked = sorted(known, key=lambda group: (group.arm != FOCUS, group.name not in self.bases))
        return ranked[0] if ranked else None

    def title_of(self, group: ArmRuns) -> str:
        """``DAIT``, with its study in front where several groups are of this arm; all differ."""
        title = arm_title(group.arm)
        if group.name == group.arm:
            return title
        study, _, own = group.name.rpartition("/")
        # Of two studies of one name the second's arms end in a number.
        return f"{study}: {title}{own.removeprefix(group.arm)}"

    def key_of(self, group: ArmRuns) -> str:
        """What figures call it: the arm, which has a colour, where that says enough."""
        return group.arm if group.name == group.arm else self.title_of(group)


@dataclass(frozen=True)
class StudyPart:
    """A finished study that was given as a whole."""

    title: str
    folder: Path
    comparison: Comparison


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the sections are written from.

    folders: what was given, by its title; localised: those titles to where networks look; images
    and against: as they were asked for.
    """

    folders: Mapping[str, Path]
    tests: tuple[TestSet, ...]
    studies: tuple[StudyPart, ...]
    localised: Mapping[str, Measurement]
    left_out: tuple[Omitted, ...]
    images: int
    against: str | None


def gather(
    folders: Sequence[Path],
    against: str | None = None,
    images: int = 8,
    emit: Emit = ignore,
    *,
    open_study: Callable[[StudyFolder], Comparison] = Comparison,
    measuring: bool = True,
) -> ReportInputs:
    """Evaluate the runs, open the studies, and measure where networks look unless that is kept.

    against: the arm that gains are counted from, by default ``direct`` where it is there. images:
    how many of the test split are explained. open_study: gives comparisons that are open already.
    measuring: False leaves out what is not kept.
    Raises ``UserError`` for a folder that is neither a run nor a study, for a run given by name
    that cannot be evaluated, where nothing is left, and for an unknown ``against``.
    """
    left_out: list[Omitted] = []
    named = _titled(folders)
    runs = _evaluated(list(named.values()), left_out, emit)
    tests = _test_sets(runs, against)
    studies = []
    for title, folder in named.items():
        if not (folder / "study.json").is_file():
            reason = "given as a single run: heatmaps of test images, maps of features and the "
            reason += "frozen teacher are shown of whole studies"
            left_out.append(Omitted(title, reason))
            continue
        try:
            studies.append(StudyPart(title, folder, open_study(StudyFolder(folder))))
        except UserError as error:
            left_out.append(Omitted(f"{title}, its networks side by side", str(error)))
    localised = _localised(named, left_out, emit if measuring else None)
    return ReportInputs(named, tests, tuple(studies), localised, tuple(left_out), images, against)


def groups_of(classes: Sequence[ClassInfo]) -> list[str] | None:
    """The coarse group of every class; None where the data has none."""
    groups = [info.group for info in classes]
    return [group or "other" for group in groups] if any(groups) else None


def any_run(group: ArmRuns) -> EvaluatedRun:
    """One of the runs of a group; they differ in the seed only."""
    return next(iter(group.runs.values()))


def _titled(folders: Sequence[Path]) -> dict[str, Path]:
    """Every folder once, by its name, with its parent's where two have the same."""
    once = list({folder.resolve(): folder for folder in folders}.values())
    names = [folder.resolve().name for folder in once]
    return {
        name if names.count(name) == 1 else f"{folder.resolve().parent.name}/{name}": folder
        for name, folder in zip(names, once, strict=True)
    }


def _evaluated(
    folders: Sequence[Path], left_out: list[Omitted], emit: Emit
) -> dict[Path, EvaluatedRun]:
    found: dict[Path, EvaluatedRun] = {}
    for folder in folders:
        for run in runs_in(folder):
            path = run.path.resolve()
            if path in found:
                continue
            try:
                found[path] = evaluate_run(run, "test", emit)
            except UserError as error:
                if run.path == folder:  # asked for by name
                    raise
                left_out.append(Omitted(f"{folder.resolve().name}/{run.path.name}", str(error)))
    if not found:
        reasons = "; ".join(f"{row.what}: {row.reason}" for row in left_out)
        raise UserError(f"No run here can be evaluated, so there is nothing to report. {reasons}")
    return found


def _test_sets(runs: Mapping[Path, EvaluatedRun], against: str | None) -> tuple[TestSet, ...]:
    by_data: dict[str, list[EvaluatedRun]] = {}
    configs: dict[str, dict[str, Any]] = {}
    for run in runs.values():
        config = recipe_of(run.folder).data.model_dump()
        configs.setdefault(repr(config), config)
        by_data.setdefault(repr(config), []).append(run)
    titles = _data_titles(list(configs.values()))
    found = []
    for title, own in zip(titles, by_data.values(), strict=True):
        groups = tuple(group_by_arm(own))
        bases = {group.name: base for group in groups if (base := _base(group, groups, against))}
        found.append(TestSet(title, groups, bases))
    if against is not None and not any(test.bases for test in found):
        arm_named([group for test in found for group in test.groups], against)
    return tuple(found)


def _base(group: ArmRuns, groups: Sequence[ArmRuns], against: str | None) -> ArmRuns | None:
    wanted = against or DIRECT
    student = any_run(group).folder.config()["student"]
    fitting = [
        other
        for other in groups
        if wanted in (other.name, other.arm)
        and any_run(other).folder.config()["student"] == student
    ]
    if group in fitting:
        return None
    home = any_run(group).folder.path.resolve().parent
    beside = [other for other in fitting if any_run(other).folder.path.resolve().parent == home]
    # Two that fit equally well are no baseline: which of them is meant cannot be known.
    return next((only[0] for only in (beside, fitting) if len(only) == 1), None)


def _data_titles(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The data sets' names, with what tells those of one name apart."""
    names = [Path(str(config["source"])).name for config in configs]
    titles = []
    for name, config in zip(names, configs, strict=True):
        alike = [other for n, other in zip(names, configs, strict=True) if n == name]
        apart = [key for key in config if any(other[key] != config[key] for other in alike)]
        described = ", ".join(f"{key.replace('_', ' ')} {config[key]}" for key in apart)
        titles.append(f"{name} ({described})" if described else name)
    return titles


def _localised(
    named: Mapping[str, Path], left_out: list[Omitted], emit: Emit | None
) -> dict[str, Measurement]:
    """emit: None where nothing may be measured now."""
    found: dict[str, Measurement] = {}
    for title, folder in named.items():
        try:
            kept = current_localisation(folder)
            if kept:
                found[title] = kept[-1]
            elif emit is not None:
                found[title] = _measured(folder, emit)
        except UserError as error:
            left_out.append(Omitted(f"{title}, where its networks look", str(error)))
    return found


def _measured(folder: Path, emit: Emit) -> Measurement:
    explained = stored_networks(folder)
    emit(Note(f"{folder.name}: where its networks look is measured once and kept"))
    settings = Settings(method=None, target="true", images=LOCALISED_IMAGES, road_images=0)
    return measure(explained, open_data_of(folder, explained.recipe, emit), settings, emit)
