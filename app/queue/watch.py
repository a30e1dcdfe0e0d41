"""The state of a study in text and curves, read from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from app.config import hide_paths
from app.queue.processes import machine_busy, memory_bytes
from app.queue.trainer import output_tail
from app.studies.entries import StudyEntry
from app.studies.order import order_of, varied_in
from app.studies.ticket import process_of
from app.ui.notice import empty
from app.ui.plot import figure_json
from app.ui.templates import render
from app.ui.wording import duration, megabytes, ordinal, percent, state_word
from dait.config.arms import arm_title
from dait.evidence import figures
from dait.runs.folder import StudyFolder
from dait.runs.sweeps import LOG, SweepPoint, best_of, points_of, read_sweep

LOG_BYTES = 12_000
LAST_LINES = 6
STAGES = {
    "intermediate teacher": "the intermediate teacher learns from the frozen teacher",
    "classifier": "the classifier (the later teacher) learns from the labels",
    "assistant": "the assistant learns from the frozen teacher",
    "student": "the student learns",
}

NOTHING_YET = empty(
    "Nothing has been trained here yet. Choose a recipe and press Start: the state appears here, "
    "and it stays up to date if you close this page."
)


def card(study: StudyFolder, entry: StudyEntry) -> str:
    """The state of a study as HTML: what it is, its progress, and the time left."""
    parts: dict[str, Any] = {"error": "", "text": "", "progress": None, "hints": [], "log": ""}
    if entry.state == "damaged":
        parts["text"] = entry.message
    elif entry.state == "queued":
        parts |= {"text": _queued(entry), "progress": _progress({"progress": entry.progress})}
    else:
        describe = {
            "preparing": _working,
            "training": _working,
            "evaluating": _working,
            "finished": _finished,
            "paused": _paused,
            "stopped": _stopped,
            "lost": _lost,
        }.get(entry.state, _failed)
        parts |= describe(study, study.status())
    return render("study_card", entry=entry, state=state_words(entry), **parts)


def state_words(entry: StudyEntry) -> str:
    """``Training``, ``Queued, 2nd``, ``Pausing``."""
    if entry.running and entry.requested:
        return "Pausing" if entry.requested == "pause" else "Cancelling"
    if entry.state == "queued" and entry.running:
        return "Starting"
    return state_word(entry.state) + (f", {ordinal(entry.position)}" if entry.position else "")


def curves(
    studies: Mapping[str, StudyFolder], show: str = "accuracy", columns: int = 2
) -> str | None:
    """Learning curves of all runs so far as a figure's JSON; None before the first epoch.

    studies: by their titles, the selected study first. show: as in
    ``figures.study_curves``. Raises ``UserError`` where one of them is damaged.
    """
    first = next(iter(studies.values()))
    varied = varied_in(first)
    if varied is not None:
        points = sweep_points(first, varied[0])
        return figure_json(figures.sweep_lines(points, varied[0])) if points else None
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
    """A mark that changes with any of these curves."""
    files = ("*/metrics.jsonl", LOG)
    return f"{show} {[(study.path.name, *(_sizes(study, f) for f in files)) for study in studies]}"


def log_html(study: StudyFolder) -> str:
    """The end of what the training printed, or else of the study's log."""
    text = hide_paths(output_tail(study, LOG_BYTES) or study.log_text(LOG_BYTES).strip())
    return render("log", text=text)


def log_mark(study: StudyFolder) -> str:
    """A mark that changes with ``log_html``."""
    return f"{study.path.name} {_sizes(study, '*.txt')}"


def _sizes(study: StudyFolder, pattern: str) -> list[int]:
    found = []
    for file in sorted(study.path.glob(pattern)):
        with suppress(OSError):  # deleted in this moment
            found.append(file.stat().st_size)
    return found


def _queued(entry: StudyEntry) -> str:
    if entry.running:
        return "The training process is starting; its first message takes a few seconds."
    if entry.position > 1:
        return f"In the queue, {ordinal(entry.position)}: {entry.position - 1} before it."
    if entry.position:
        return "In the queue, 1st: it starts when the running training has ended."
    return "Its runs are trained by separate tasks, which have not started."


def _working(study: StudyFolder, status: Mapping[str, Any]) -> dict[str, Any]:
    steps = [_which_run(status)]
    if status.get("state") == "training" and status.get("stage"):
        stage = str(status["stage"])
        steps.append(STAGES.get(stage, stage))
        if (status.get("stage_count") or 1) > 1:
            stage_index = status.get("stage_index") or 0
            steps.append(f"stage {stage_index + 1} of {status['stage_count']}")
        steps.append(f"epoch {status.get('epoch', 0)} of {status.get('epochs', '?')}")
    usage = _usage(study)
    return {
        "text": " · ".join(step for step in steps if step),
        "progress": _progress(status),
        "hints": [str(status.get("message") or ""), *([usage] if usage else [])],
    }


def _usage(study: StudyFolder) -> str:
    """The memory and processors that the training uses, if it runs on this machine."""
    process = process_of(study)
    used = memory_bytes(*process) if process is not None else 0
    if not used:
        return ""
    busy = percent(machine_busy(), digits=0)
    return f"It uses {megabytes(used)} of memory; the machine's processors are {busy} busy."


def _finished(study: StudyFolder, status: Mapping[str, Any]) -> dict[str, Any]:
    varied = varied_in(study)
    if varied is not None:
        spent = f"Trained in {duration(study.seconds_spent())}."
        return {"text": _chosen(study, varied[0]), "hints": [spent]}
    lines = []
    for run in study.runs():
        result = run.result()
        if result is not None:
            seed = f", seed {result['seed']}" if len(study.runs()) > 1 else ""
            lines.append(f"{arm_title(result['arm'])}{seed}: {percent(result['top1'])}")
    return {
        "text": " · ".join(lines),
        "hints": [f"Trained in {duration(study.seconds_spent())}."],
    }


def _chosen(study: StudyFolder, key: str) -> str:
    """Which value of a sweep's setting is best on validation, arm by arm."""
    best = [
        f"{arm_title(arm)}: {key}={point.value} ({percent(point.mean)} on validation)"
        for arm, point in best_of(sweep_points(study, key)).items()
    ]
    return " · ".join(best) or "Nothing was measured."


def sweep_points(study: StudyFolder, key: str) -> list[SweepPoint]:
    """What a sweep has measured so far. Raises ``UserError`` where it is damaged."""
    recipe: Any = order_of(study).recipe
    for part in key.split("."):
        recipe = getattr(recipe, part, None)
    return points_of(read_sweep(study.path), key, recipe)


def _paused(study: StudyFolder, status: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": f"Paused. {_reached(status)} Resume continues from the last saved step."}


def _stopped(study: StudyFolder, status: Mapping[str, Any]) -> dict[str, Any]:
    message = str(status.get("message") or "Stopped on request").rstrip(".")
    return {"text": f"{message}. {_reached(status)}"}


def _lost(study: StudyFolder, status: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "error": "The training process ended without a message: the machine was restarted, or "
        f"memory ran out. {_reached(status)} Resume continues from the last saved step.",
        "log": _last_lines(study),
    }


def _failed(study: StudyFolder, status: Mapping[str, Any]) -> dict[str, Any]:
    message = str(status.get("message") or "It failed without a message.")
    return {"error": message, "log": _last_lines(study)}


def _last_lines(study: StudyFolder) -> str:
    text = hide_paths(output_tail(study) or study.log_text(4000))
    return "\n".join(text.splitlines()[-LAST_LINES:])


def _reached(status: Mapping[str, Any]) -> str:
    progress = status.get("progress")
    return f"It had reached {percent(progress, 0)}." if progress else ""


def _which_run(status: Mapping[str, Any]) -> str:
    if status.get("arm") is None:
        return "Preparing the data and the frozen teacher"
    index, count = int(status.get("run_index") or 0) + 1, status.get("run_count") or 1
    return f"{arm_title(str(status['arm']))}, seed {status.get('seed')} ({index} of {count})"


def _progress(status: Mapping[str, Any]) -> dict[str, Any]:
    share = min(1.0, max(0.0, float(status.get("progress") or 0.0)))
    left = duration(status.get("eta_seconds")) if share else ""
    return {"share": share, "text": f"{percent(share, 0)}{f', {left} left' if left else ''}"}
