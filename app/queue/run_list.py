"""The list of the studies trained here, one of which is selected."""

from __future__ import annotations

from collections.abc import Sequence

from app.queue.watch import state_words
from app.studies.entries import StudyEntry
from app.ui.notice import empty
from app.ui.tables import Cell, table_html
from app.ui.templates import render
from app.ui.wording import UNKNOWN, moment, percent

NO_STUDIES = empty("Studies that you train appear here.")
COLUMNS = ("State", "Test top-1", "Seeds", "When")
PICK = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-study]');
  if (!button) return;
  element.querySelectorAll('button').forEach(other =>
    other.setAttribute('aria-pressed', String(other === button)));
  trigger('click', { study: button.dataset.study });
});
"""


def runs_html(entries: Sequence[StudyEntry], shown: str, most: int) -> str:
    """The first ``most`` studies with their states; ``shown`` is the id of the selected one."""
    if not entries:
        return NO_STUDIES
    body = [
        (render("run_name", entry=entry, shown=entry.id == shown), _cells(entry))
        for entry in entries[:most]
    ]
    older = len(entries) - len(body)
    caption = "Choose one to see it above and to act on it."
    if older:
        caption += f" {older} older ones are not in this list."
    return table_html(caption, "Study", COLUMNS, body)


def _cells(entry: StudyEntry) -> list[Cell]:
    started = 0 < entry.progress < 1
    return [
        (
            render("run_state", state=entry.state, words=state_words(entry)),
            percent(entry.progress, 0) if started else "",
        ),
        (render("run_arms", entry=entry), ""),
        _seeds(entry.seeds),
        (moment(entry.waiting_since or entry.started), ""),
    ]


def _seeds(seeds: Sequence[int]) -> Cell:
    """How many, and below which: a lone 0 would read as none."""
    if not seeds:
        return UNKNOWN, ""
    which = ", ".join(str(seed) for seed in seeds)
    return f"{len(seeds)}", f"seed {which}" if len(seeds) == 1 else f"seeds {which}"
