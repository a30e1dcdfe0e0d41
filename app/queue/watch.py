"""A study as it trains, in words and curves: made from its files, whoever started it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from app.config import hide_paths
from app.queue.processes import machine_busy, memory_bytes
from app.queue.trainer import output_tail
from app.studies.entries import StudyEntry
from app.studies.ticket import process_of
from app.ui.plot import figure_json
from app.ui.wording import duration, escape, megabytes, ordinal, percent, state_word
from dait.evidence import figures
from dait.evidence.palette import arm_title
from dait.runs.folder import StudyFolder

LOG_BYTES = 12_000
LAST_LINES = 6
STAGES = {
    "intermediate teacher": "the intermediate teacher learns from the frozen teacher",
    "classifier": "the classifier that will teach learns from the labels",
    "assistant": "the assistant learns from the frozen teacher",
    "student": "the student learns",
}

NOTHING_YET = (
    '<div class="ds-empty">Nothing has been trained here yet. Choose a recipe and press Start: '
    "the state appears here, and stays true if you close this page.</div>"
)


def card(study: StudyFolder, entry: StudyEntry) -> str:
    """The state of a study as HTML: what it is, where it is, how long it will take."""
    if entry.state == "damaged":
        return _framed(entry, f"<p>{escape(hide_paths(entry.message))}</p>")
    if entry.state == "queued":
        return _framed(entry, _queued(entry))
    lines = {
        "preparing": _working,
        "training": _working,
        "evaluating": _working,
        "finished": _finished,
        "paused": _paused,
        "stopped": _stopped,
        "lost": _lost,
    }.get(entry.state, _failed)(study, study.status())
    return _framed(entry, lines)


def state_words(entry: StudyEntry) -> str:
    """``Training``, ``Queued, 2nd``, and what it is about to be."""
    if entry.at_work and entry.asked:
        return "Pausing" if entry.asked == "pause" else "Cancelling"
    if entry.state == "queued" and entry.at_work:
        return "Starting"
    return state_word(entry.state) + (f", {ordinal(entry.position)}" if entry.position else "")


def curves(
    studies: Mapping[str, StudyFolder], show: str = "accuracy", columns: int = 2
) -> str | None:
    """Learning curves of all runs so far as a figure's JSON; None before the first epoch.

    studies: by their titles, the first one the study that is looked at. show: as of
    ``figures.study_curves``. Raises ``UserError`` where one of them is damaged.
    """
    found = {title: _metrics(study) for title, study in studies.items()}
    if not any(next(iter(found.values())).values()):
        return None
    kinds: Mapping[str, figures.Show] = {"parts": "parts", "speed": "speed"}
    shown = kinds.get(show, "accuracy")
    return figure_json(figures.study_curves(found, shown, columns))


def _metrics(study: StudyFolder) -> dict[str, list[dict[str, Any]]]:
    if not (study.path / "study.json").exists():
        return {}
    return {run.path.name: run.metrics() for run in study.runs()}


def curves_mark(studies: Sequence[StudyFolder], show: str) -> str:
    """Changes whenever a curve of ``curves`` does."""
    return f"{show} {[(study.path.name, _sizes(study, '*/metrics.jsonl')) for study in studies]}"


def log_html(study: StudyFolder) -> str:
    """The end of what the training printed, or of the study's log where it printed to nobody."""
    text = hide_paths(output_tail(study, LOG_BYTES) or study.log_text(LOG_BYTES).strip())
    return f'<pre class="ds-log" tabindex="0">{escape(text or "The log is empty so far.")}</pre>'


def log_mark(study: StudyFolder) -> str:
    """Changes whenever ``log_html`` does: a poll that finds the same sends nothing."""
    return f"{study.path.name} {_sizes(study, '*.txt')}"


def _sizes(study: StudyFolder, pattern: str) -> list[int]:
    found = []
    for file in sorted(study.path.glob(pattern)):
        with suppress(OSError):  # deleted in this moment
            found.append(file.stat().st_size)
    return found


def _framed(entry: StudyEntry, lines: str) -> str:
    state = escape(entry.state)
    return (
        f'<div class="ds-card ds-watch" data-state="{state}">'
        f'<h3>{escape(entry.title)} <span class="ds-state {state}" role="status">'
        f"{escape(state_words(entry))}</span></h3>"
        f'<p class="ds-hint">{escape(entry.id)}</p>{lines}</div>'
    )


def _queued(entry: StudyEntry) -> str:
    if entry.at_work:
        words = "The trainer starts: it says a word in some seconds."
    elif entry.position > 1:
        words = f"In the queue, {ordinal(entry.position)}: {entry.position - 1} before it."
    elif entry.position:
        words = "In the queue, 1st: it begins when the training before it has ended."
    else:
        words = "Its runs are trained by tasks of their own, which have not begun."
    return f"<p>{escape(words)}</p>{_bar({'progress': entry.progress})}"


def _working(study: StudyFolder, status: Mapping[str, Any]) -> str:
    steps = [_which_run(status)]
    if status.get("state") == "training" and status.get("stage"):
        stage = str(status["stage"])
        steps.append(STAGES.get(stage, stage))
        if (status.get("stage_count") or 1) > 1:
            stage_index = status.get("stage_index") or 0
            steps.append(f"stage {stage_index + 1} of {status['stage_count']}")
        steps.append(f"epoch {status.get('epoch', 0)} of {status.get('epochs', '?')}")
    message = f'<p class="ds-hint">{escape(hide_paths(status.get("message") or ""))}</p>'
    position = escape(" · ".join(step for step in steps if step))
    return f"<p>{position}</p>{_bar(status)}{message}{_use(study)}"


def _use(study: StudyFolder) -> str:
    """What the training takes of this machine, where it runs here."""
    process = process_of(study)
    taken = memory_bytes(*process) if process is not None else 0
    if not taken:
        return ""
    busy = percent(machine_busy(), digits=0)
    return (
        f'<p class="ds-hint">It takes {megabytes(taken)} of memory; the processors of the machine '
        f"are {busy} busy.</p>"
    )


def _finished(study: StudyFolder, status: Mapping[str, Any]) -> str:
    lines = []
    for run in study.runs():
        result = run.result()
        if result is not None:
            seed = f", seed {result['seed']}" if len(study.runs()) > 1 else ""
            lines.append(f"{arm_title(result['arm'])}{seed}: {percent(result['top1'])}")
    took = duration(study.seconds_spent())
    return f"<p>{escape(' · '.join(lines))}</p><p class='ds-hint'>Trained in {escape(took)}.</p>"


def _paused(study: StudyFolder, status: Mapping[str, Any]) -> str:
    return f"<p>Paused. {_reached(status)} Resume it, and it goes on from its last step.</p>"


def _stopped(study: StudyFolder, status: Mapping[str, Any]) -> str:
    message = str(status.get("message") or "Stopped on request").rstrip(".")
    return f"<p>{escape(hide_paths(message))}. {_reached(status)}</p>"


def _lost(study: StudyFolder, status: Mapping[str, Any]) -> str:
    return (
        '<div class="ds-notice">The process that trained this is gone without having said why: '
        f"the machine was restarted, or memory ran out. {_reached(status)} Resume it, and it goes "
        f"on from what was kept.</div>{_last_lines(study)}"
    )


def _failed(study: StudyFolder, status: Mapping[str, Any]) -> str:
    sentence = escape(hide_paths(status.get("message") or "It failed without saying why."))
    return f'<div class="ds-notice">{sentence}</div>{_last_lines(study)}'


def _last_lines(study: StudyFolder) -> str:
    text = hide_paths(output_tail(study) or study.log_text(4000))
    tail = escape("\n".join(text.splitlines()[-LAST_LINES:]))
    return f'<pre class="ds-log" tabindex="0">{tail}</pre>' if tail else ""


def _reached(status: Mapping[str, Any]) -> str:
    progress = status.get("progress")
    return f"It had come to {percent(progress, 0)}." if progress else ""


def _which_run(status: Mapping[str, Any]) -> str:
    if status.get("arm") is None:
        return "Getting the data and the frozen teacher ready"
    index, count = int(status.get("run_index") or 0) + 1, status.get("run_count") or 1
    return f"{arm_title(str(status['arm']))}, seed {status.get('seed')} ({index} of {count})"


def _bar(status: Mapping[str, Any]) -> str:
    share = min(1.0, max(0.0, float(status.get("progress") or 0.0)))
    left = duration(status.get("eta_seconds")) if share else ""
    text = f"{percent(share, 0)}, {left} left" if left else percent(share, 0)
    return (
        f'<div class="ds-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * share:.0f}">'
        f'<div style="width: {100 * share:.1f}%"></div></div><p>{escape(text)}</p>'
    )
