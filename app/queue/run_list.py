"""The list of the studies trained here, one of which is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from app.queue.watch import state_words
from app.studies.entries import StudyEntry
from app.ui.tables import table_html
from app.ui.wording import UNKNOWN, escape, moment, percent
from dait.evidence.palette import arm_title

NO_STUDIES = '<div class="ds-empty">Studies that you train appear here.</div>'
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
    """The first ``most`` studies with their states; the one that is ``shown`` is marked."""
    if not entries:
        return NO_STUDIES
    body = [(_name(entry, entry.id == shown), _cells(entry)) for entry in entries[:most]]
    older = len(entries) - len(body)
    caption = "Choose one to see it above and to do something with it."
    if older:
        caption += f" {older} older ones are not in this list."
    return table_html(caption, "Study", COLUMNS, body)


def _name(entry: StudyEntry, is_shown: bool) -> str:
    return (
        f'<button type="button" class="ds-pick" data-study="{escape(entry.id)}" '
        f'aria-pressed="{str(is_shown).lower()}">{escape(entry.title)}</button>'
        f"<small>{escape(entry.id)}</small>"
    )


def _cells(entry: StudyEntry) -> list[tuple[str, str]]:
    state = escape(entry.state)
    chip = f'<span class="ds-state {state}">{escape(state_words(entry))}</span>'
    under_way = 0 < entry.progress < 1
    return [
        (chip, percent(entry.progress, 0) if under_way else ""),
        (_arms(entry), ""),
        (escape(", ".join(str(seed) for seed in entry.seeds)) or UNKNOWN, ""),
        (escape(moment(entry.waiting_since or entry.started)), ""),
    ]


def _arms(entry: StudyEntry) -> str:
    """An arm a line, with its accuracy where it has one."""
    lines = []
    for arm in entry.arms:
        top1 = f" <b>{percent(entry.top1[arm])}</b>" if arm in entry.top1 else ""
        lines.append(f'<span class="ds-line">{escape(arm_title(arm))}{top1}</span>')
    return "".join(lines) or UNKNOWN
