"""The studies that the page lists: bundled ones and those trained here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.config import AppConfig
from app.studies.ticket import FILE as TICKET
from app.studies.ticket import process_of, read_ticket, state_of
from dait.config.recipe import Recipe, parse_recipe
from dait.errors import UserError
from dait.runs.folder import FileVersion, RunFolder, StudyFolder, version_of

FRONT = "few-shot"
"""The bundled study that the page opens with."""
TRIAL_EPOCHS = 3


@dataclass(frozen=True)
class StudyEntry:
    """One study in a list.

    started: Unix seconds at which its training started or was resumed; waiting_since: at which it
    was put into the queue, if it is there; position: in the queue, from 1; 0 if it is not there.
    running: whether a local process trains it; requested: the last request to that process.
    trial: trained for fewer than ``TRIAL_EPOCHS``. varies: the setting of a sweep, which is no
    study to compare. progress: 0 to 1; top1: mean test top-1 by arm, over the seeds that have
    finished.
    """

    id: str
    title: str
    state: str
    shipped: bool
    started: float | None = None
    arms: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    message: str = ""
    waiting_since: float | None = None
    position: int = 0
    running: bool = False
    requested: str = ""
    trial: bool = False
    varies: str = ""
    progress: float = 0.0
    top1: dict[str, float] = field(default_factory=dict)


def open_study(config: AppConfig, study_id: object) -> StudyFolder:
    """The study with this id, which may come from a browser.

    Raises ``UserError`` unless it is a bundled study or one trained here.
    """
    if not isinstance(study_id, str):
        raise UserError("Choose a study first.")
    for root in (config.shipped, config.runs):
        folder = root.resolve(study_id)
        if (folder / "status.json").is_file() or (folder / "study.json").is_file():
            return StudyFolder(folder)
    raise UserError(f"There is no study called {study_id[:120]!r} any more. Choose another one.")


def recipe_of(study: StudyFolder) -> Recipe:
    """The recipe of ``study.json``. Raises ``UserError`` where it is missing or damaged."""
    return parse_recipe(study.description().get("recipe"), str(study.path / "study.json"))


def own_studies(config: AppConfig) -> list[StudyEntry]:
    """The studies trained here: running ones, the queue in order, then the newest first."""
    entries = [entry_of(study, shipped=False) for study in config.runs.studies()]
    line = [entry for entry in entries if entry.waiting_since is not None]
    line.sort(key=lambda entry: (entry.waiting_since, entry.id))
    return [
        *(entry for entry in entries if entry.running),
        *(replace(entry, position=number) for number, entry in enumerate(line, start=1)),
        *(entry for entry in entries if not entry.running and entry.waiting_since is None),
    ]


def finished_studies(config: AppConfig) -> list[StudyEntry]:
    """The studies that can be compared; the page opens with the first.

    The bundled ones come first, ``FRONT`` before the others, then those trained here, the newest
    first, and last those that only try something out (fewer than ``TRIAL_EPOCHS`` epochs).
    """
    own = [e for e in own_studies(config) if e.state == "finished" and not e.varies]
    own.sort(key=lambda entry: entry.trial)
    shipped = [entry_of(study, shipped=True) for study in config.shipped.studies()]
    shipped.sort(key=lambda entry: (entry.id != FRONT, entry.id))
    return [entry for entry in shipped if entry.state == "finished"] + own


# Lists are made at every poll: a settled study's entry is kept until one of its files changes.
_SETTLED: dict[Path, tuple[dict[str, FileVersion], StudyEntry]] = {}
_SETTLED_STATES = ("finished", "failed", "stopped", "paused")
"""Those that follow from the study's own files alone: not from processes, runs or the time."""
_MOST_KEPT = 50_000


def entry_of(study: StudyFolder, shipped: bool) -> StudyEntry:
    """A study as a list entry; a damaged one has the state ``damaged``."""
    kept = _SETTLED.get(study.path)
    if kept is not None:
        versions, entry = kept
        if all(version_of(file) == version for file, version in versions.items()):
            return entry
        _SETTLED.pop(study.path, None)
    own = [study.path / name for name in ("status.json", "study.json", TICKET)]
    versions = {str(file): version_of(file) for file in own}
    try:
        described = _description(study.path)
    except UserError as error:
        return StudyEntry(study.path.name, study.path.name, "damaged", shipped, message=str(error))
    results = [run / "result.json" for run in described.runs]
    versions |= {str(file): version_of(file) for file in results}
    entry = _entry(study, shipped, described)
    if entry.state in _SETTLED_STATES and not _follows_from_runs(study):
        if len(_SETTLED) >= _MOST_KEPT:
            _SETTLED.clear()
        _SETTLED[study.path] = versions, entry
    return entry


def _follows_from_runs(study: StudyFolder) -> bool:
    """Whether its state is what its runs say, whose status is not looked at here."""
    return bool(study.status().get("state") == "queued")


def _entry(study: StudyFolder, shipped: bool, described: _Described) -> StudyEntry:
    name, state = study.path.name, state_of(study)
    try:
        status, ticket, process = study.status(), read_ticket(study), process_of(study)
        results = [_result(run) for run in described.runs]
    except UserError as error:
        return StudyEntry(name, name, "damaged", shipped, message=str(error))
    # Until the trainer has written study.json, the title is only in status.json.
    titles = (ticket.name, described.title, status.get("title"), described.name, name)
    return StudyEntry(
        id=name,
        title=next(str(title) for title in titles if title),
        state=state,
        shipped=shipped,
        started=status.get("started"),
        arms=described.arms or tuple(status.get("arms") or ()),
        seeds=described.seeds or tuple(status.get("seeds") or ()),
        message=status.get("message") or "",
        waiting_since=ticket.waiting_since if state == "queued" else None,
        running=process is not None,
        requested=ticket.requested if process is not None and process[0] == ticket.pid else "",
        trial=0 < described.epochs < TRIAL_EPOCHS,
        varies=next(iter(status.get("vary") or {}), ""),
        progress=status.get("progress") or 0.0,
        top1=_means([result for result in results if result is not None]),
    )


@dataclass(frozen=True)
class _Described:
    """What ``study.json`` says that a list shows."""

    title: str = ""
    name: str = ""
    arms: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    epochs: int = 0
    runs: tuple[Path, ...] = ()


def _description(folder: Path) -> _Described:
    version = version_of(folder / "study.json")
    return _Described() if version is None else _read_description(folder, version)


def _result(run: Path) -> tuple[str, float] | None:
    version = version_of(run / "result.json")
    return None if version is None else _read_result(run, version)


@lru_cache(maxsize=1000)
def _read_description(folder: Path, version: FileVersion) -> _Described:
    study = StudyFolder(folder)
    described = study.description()
    recipe = described.get("recipe") or {}
    return _Described(
        title=str(recipe.get("title") or recipe.get("name") or ""),
        name=described.get("name") or "",
        arms=tuple(described.get("arms") or ()),
        seeds=tuple(described.get("seeds") or ()),
        epochs=_epochs(recipe),
        runs=tuple(run.path for run in study.runs()),
    )


def _epochs(recipe: Mapping[str, Any]) -> int:
    """0 where the recipe does not say; a damaged one is refused when it is opened."""
    train = recipe.get("train")
    found = train.get("epochs") if isinstance(train, Mapping) else None
    return found if isinstance(found, int) else 0


@lru_cache(maxsize=10_000)
def _read_result(run: Path, version: FileVersion) -> tuple[str, float] | None:
    result = RunFolder(run).result()
    return None if result is None else (result["arm"], result["top1"])


def _means(results: Sequence[tuple[str, float]]) -> dict[str, float]:
    by_arm: dict[str, list[float]] = {}
    for arm, top1 in results:
        by_arm.setdefault(arm, []).append(top1)
    return {arm: sum(found) / len(found) for arm, found in by_arm.items()}
