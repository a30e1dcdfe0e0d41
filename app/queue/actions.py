"""What can be done with a study that is trained here: one rule for buttons and for presses."""

from __future__ import annotations

from typing import Literal

from app.config import AppConfig
from app.queue.jobs import RESUMABLE
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
    """What may be done with a study as it is now."""
    state, tidy, found = entry.state, config.limits.tidy, set[Action]()
    if state == "damaged":
        return frozenset({"delete"} if tidy else ())
    if entry.at_work:
        found |= {"cancel", "pause"} if state != "queued" and not entry.asked else {"cancel"}
    elif entry.waiting_since is not None:
        # Who waits may be a stranger; what trains may be stopped by anybody.
        found |= {"cancel"} if tidy else set()
    elif state in RESUMABLE:
        found |= {"resume", "retry"}
    elif state == "finished":
        found |= {"compare"}
    if tidy:
        found |= {"rename"}
        if not entry.at_work and entry.waiting_since is None and state not in WORKING_STATES:
            found |= {"delete"}
    return frozenset({*found, "again"})


def require(config: AppConfig, study_id: object, action: Action) -> StudyFolder:
    """The study, if this may be done with it now. The id comes from a browser.

    Raises ``UserError`` where it may not. Whether what it trains is allowed, ``Jobs`` asks.
    """
    if not isinstance(study_id, str) or not study_id:
        raise UserError("Choose a study first.")
    study = StudyFolder(config.runs.resolve(study_id))
    if not study.path.is_dir():
        raise UserError("This study is not there any more: somebody has deleted it.")
    entry = entry_of(study, shipped=False)
    if action not in allowed(config, entry):
        state = state_word(entry.state).lower()
        raise UserError(f"{entry.title} is {state}: {LABELS[action]} is not for it here and now.")
    return study
