"""The actions on a study trained here: one rule for the buttons and for their handlers."""

from __future__ import annotations

from typing import Literal

from app.config import AppConfig
from app.queue.training_queue import RESUMABLE
from app.studies.entries import StudyEntry, entry_of
from app.ui.wording import state_word
from dait.errors import UserError
from dait.runs.folder import WORKING_STATES, StudyFolder

Action = Literal["pause", "resume", "cancel", "retry", "compare", "again", "rename", "delete"]

LABELS: dict[Action, str] = {
    "pause": "Pause",
    "resume": "Resume",
    "cancel": "Cancel",
    "compare": "See in Compare",
    "retry": "Retry",
    "again": "Start again from this",
    "rename": "Rename",
    "delete": "Delete",
}


def allowed(config: AppConfig, entry: StudyEntry) -> frozenset[Action]:
    """The actions that are allowed in the study's current state."""
    state, tidy, found = entry.state, config.limits.tidy, set[Action]()
    if state == "damaged":
        return frozenset({"delete"} if tidy else ())
    if entry.running:
        found |= {"cancel", "pause"} if state != "queued" and not entry.requested else {"cancel"}
    elif entry.waiting_since is not None:
        # Others' waiting studies are protected; a running one may be stopped by anybody.
        found |= {"cancel"} if tidy else set()
    elif state in RESUMABLE:
        found |= {"resume", "retry"}
    elif state == "finished":
        found |= set() if entry.varies else {"compare"}
    if tidy:
        found |= {"rename"}
        if not entry.running and entry.waiting_since is None and state not in WORKING_STATES:
            found |= {"delete"}
    return frozenset({*found, "again"})


def require(config: AppConfig, study_id: object, action: Action) -> StudyFolder:
    """The study, if this action is allowed now. The id comes from a browser.

    Raises ``UserError`` if it is not. ``TrainingQueue`` checks what the study trains.
    """
    if not isinstance(study_id, str) or not study_id:
        raise UserError("Choose a study first.")
    study = StudyFolder(config.runs.resolve(study_id))
    if not study.path.is_dir():
        raise UserError("This study does not exist any more: it was deleted.")
    entry = entry_of(study, shipped=False)
    if action not in allowed(config, entry):
        state = state_word(entry.state).lower()
        raise UserError(f"{entry.title} is {state}: {LABELS[action]} is not possible now.")
    return study
