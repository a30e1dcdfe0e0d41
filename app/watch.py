"""A study as it trains, in words and curves: made from its files, whoever started it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.jobs import is_active, output_tail
from app.plot import figure_json
from app.studies import Entry, entry_of
from app.wording import duration, escape, percent, state_word
from dait.evidence import figures
from dait.evidence.palette import arm_title
from dait.runs import StudyFolder

LOG_BYTES = 12_000
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


def card(study: StudyFolder) -> str:
    """The state of a study as HTML: what it is, where it is, how long it will take."""
    entry = entry_of(study, shipped=False)
    if entry.state == "damaged":
        return _framed(entry, f"<p>{escape(entry.message)}</p>")
    status = study.status()
    lines = {
        "queued": _queued,
        "preparing": _working,
        "training": _working,
        "evaluating": _working,
        "finished": _finished,
        "stopped": _stopped,
        "lost": _lost,
    }.get(entry.state, _failed)(study, status)
    return _framed(entry, lines)


def curves(study: StudyFolder, columns: int = 2) -> str | None:
    """Learning curves of all runs so far as a figure's JSON; None before the first epoch."""
    runs: dict[str, list[dict[str, Any]]] = {}
    if (study.path / "study.json").exists():
        runs = {run.path.name: run.metrics() for run in study.runs()}
    if not any(runs.values()):
        return None
    return figure_json(figures.learning_curves(runs, columns=columns))


def log_html(study: StudyFolder) -> str:
    """The end of what the training printed, or of the study's log where it printed to nobody."""
    text = output_tail(study, LOG_BYTES) or study.log_text(LOG_BYTES).strip()
    return f'<pre class="ds-log" tabindex="0">{escape(text or "The log is empty so far.")}</pre>'


def fingerprint(study: StudyFolder) -> str:
    """Changes whenever a curve or the log does: a poll that finds the same sends nothing."""
    logs = [study.path / "log.txt", study.path / "output.txt"]
    files = [*logs, *sorted(study.path.glob("*/metrics.jsonl"))]
    sizes = [file.stat().st_size for file in files if file.exists()]
    return f"{study.path.name} {study.state()} {sizes}"


def _framed(entry: Entry, lines: str) -> str:
    state = escape(entry.state)
    return (
        f'<div class="ds-card ds-watch" role="status" data-state="{state}">'
        f'<h3>{escape(entry.title)} <span class="ds-state {state}">'
        f"{escape(state_word(entry.state))}</span></h3>"
        f'<p class="ds-hint">{escape(entry.id)}</p>{lines}</div>'
    )


def _queued(study: StudyFolder, status: Mapping[str, Any]) -> str:
    return f"<p>Waiting for the trainer to start.</p>{_bar(status)}"


def _working(study: StudyFolder, status: Mapping[str, Any]) -> str:
    steps = [_which_run(status)]
    if status.get("state") == "training" and status.get("stage"):
        stage = str(status["stage"])
        steps.append(STAGES.get(stage, stage))
        if (status.get("stage_count") or 1) > 1:
            steps.append(f"stage {int(status['stage_index']) + 1} of {status['stage_count']}")
        steps.append(f"epoch {status.get('epoch', 0)} of {status.get('epochs', '?')}")
    message = f'<p class="ds-hint">{escape(status.get("message") or "")}</p>'
    place = escape(" · ".join(step for step in steps if step))
    return f"<p>{place}</p>{_bar(status)}{message}"


def _finished(study: StudyFolder, status: Mapping[str, Any]) -> str:
    lines = []
    for run in study.runs():
        result = run.result()
        if result is not None:
            seed = f", seed {result['seed']}" if len(study.runs()) > 1 else ""
            lines.append(f"{arm_title(result['arm'])}{seed}: {percent(result['top1'])}")
    took = duration((status.get("updated") or 0) - (status.get("started") or 0))
    return f"<p>{escape(' · '.join(lines))}</p><p class='ds-hint'>Trained in {escape(took)}.</p>"


def _stopped(study: StudyFolder, status: Mapping[str, Any]) -> str:
    return f"<p>Stopped on request. {_reached(status)}</p>"


def _lost(study: StudyFolder, status: Mapping[str, Any]) -> str:
    return (
        "<p>The process that trained this is gone without having said why: the machine was "
        f"restarted, or memory ran out. {_reached(status)} Start it again.</p>"
    )


def _failed(study: StudyFolder, status: Mapping[str, Any]) -> str:
    sentence = escape(status.get("message") or "It failed without saying why.")
    tail = escape("\n".join((study.log_text(4000) or output_tail(study)).splitlines()[-6:]))
    return f'<div class="ds-notice">{sentence}</div><pre class="ds-log">{tail}</pre>'


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


def is_running(study: StudyFolder | None) -> bool:
    """Whether Stop would do something."""
    return study is not None and is_active(study)
