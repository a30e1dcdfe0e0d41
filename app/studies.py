"""The studies that the page shows: those that come along and those trained here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.place import Place
from dait.errors import UserError
from dait.runs import StudyFolder


@dataclass(frozen=True)
class Entry:
    """One study in a list. ``top1`` maps arms to the mean test top-1 over their seeds."""

    id: str
    title: str
    state: str
    shipped: bool
    started: float | None
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    message: str = ""


def open_study(place: Place, study_id: object) -> StudyFolder:
    """The study with this id, which may come from a browser.

    Raises ``UserError`` unless it names a folder of the shipped or the own studies.
    """
    if not isinstance(study_id, str):
        raise UserError("Choose a study first.")
    for root in (place.shipped, place.runs):
        folder = root.resolve(study_id)
        if (folder / "status.json").is_file() or (folder / "study.json").is_file():
            return StudyFolder(folder)
    raise UserError(f"There is no study called {study_id[:120]!r} any more. Choose another one.")


def own_studies(place: Place) -> list[Entry]:
    """The studies trained here, newest first, whatever their state."""
    return [entry_of(study, shipped=False) for study in place.runs.studies()]


def finished_studies(place: Place) -> list[Entry]:
    """What can be compared: own finished studies, newest first, then the shipped ones.

    The shipped study called ``demo`` goes before the other shipped ones.
    """
    own = [entry for entry in own_studies(place) if entry.state == "finished"]
    shipped = [entry_of(study, shipped=True) for study in place.shipped.studies()]
    shipped.sort(key=lambda entry: (entry.id != "demo", entry.id))
    return own + [entry for entry in shipped if entry.state == "finished"]


def entry_of(study: StudyFolder, shipped: bool) -> Entry:
    """What a list shows of a study; a damaged one is listed with its state ``damaged``."""
    state, status, description = study.state(), {}, {}
    try:
        status = study.status()
        if (study.path / "study.json").exists():
            description = study.description()
    except UserError as error:
        return Entry(study.path.name, study.path.name, "damaged", shipped, None, (), (), str(error))
    started = status.get("started")
    return Entry(
        id=study.path.name,
        title=_title(study, description, status),
        state=state,
        shipped=shipped,
        started=float(started) if isinstance(started, (int, float)) else None,
        arms=tuple(str(arm) for arm in description.get("arms") or status.get("arms") or ()),
        seeds=tuple(int(seed) for seed in description.get("seeds") or status.get("seeds") or ()),
        message=str(status.get("message") or ""),
    )


def _title(study: StudyFolder, description: dict[str, Any], status: dict[str, Any]) -> str:
    recipe = description.get("recipe")
    titles = [recipe.get("title"), recipe.get("name")] if isinstance(recipe, dict) else []
    # Until the trainer has described the study, only the page that started it knows its title.
    titles += [status.get("title"), description.get("name"), study.path.name]
    return next(str(title) for title in titles if title)
