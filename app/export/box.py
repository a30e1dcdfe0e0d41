"""A fold that hands out the student of a finished run: pick it, have it packed, download it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.background import Job
from app.export.bundles import FILES, FORMS, Bundles
from app.export.deployment import deployment_table
from app.export.push_box import Pushes, build_push_box
from app.ui.notice import HIDDEN_NOTICE, Update, hint, notice, notice_box, progress_html
from dait.errors import UserError
from dait.storage.files import format_bytes

POLL_SECONDS = 1.0
SOON_SECONDS = 0.4
QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
}
EXPLAINED = hint(
    "One .zip file that works without this app: weights for timm or torchvision, ONNX in fp32 and "
    "int8, a script that needs onnxruntime alone, and a model card. Or one page to try it on your "
    "phone: send it there and open it; it needs no connection, and photographs stay on the phone. "
    "Every file is first compared with the student on the whole test split, which takes a minute "
    "or more."
)

NONE_YET = "No run of this study has finished with its weights."


def build_export_box(
    bundles: Bundles, study: gr.Dropdown | gr.State, name: str, pushes: Pushes | None = None
) -> None:
    """Lay the fold out and wire it. study: holds the id of the study; name: of the element.

    pushes: where a student may be pushed to the hub from here.
    """
    with gr.Accordion("Download a student", open=False, elem_id=name) as fold:
        gr.HTML(EXPLAINED, apply_default_css=False)
        run = gr.Dropdown([], label="Run", elem_id=f"{name}-run")
        message = notice_box(f"{name}-notice")
        state = gr.HTML("", elem_id=f"{name}-state", apply_default_css=False)
        with gr.Row(elem_classes="ds-actions"):
            form = gr.Dropdown(
                list(FORMS), value=FILES, label="As", min_width=220, elem_id=f"{name}-form"
            )
            make = gr.Button("Prepare the download", size="sm", elem_id=f"{name}-make")
            ready = gr.DownloadButton(
                "Download", size="sm", variant="primary", visible=False, elem_id=f"{name}-file"
            )
        if pushes is not None:
            build_push_box(pushes, study, run, f"{name}-hub")
        measured = gr.HTML("", elem_id=f"{name}-measured", apply_default_css=False)
    timer = gr.Timer(POLL_SECONDS, active=False)
    asked = gr.State("")

    def offer(study_id: object, current: object) -> Update:
        """The runs that can be exported now."""
        try:
            runs = bundles.runs(study_id) if study_id else []
        except UserError:  # what shows the study says it
            runs = []
        names = [name for _, name in runs]
        value = current if current in names else names[-1] if names else None
        said = HIDDEN_NOTICE if runs else notice(NONE_YET, calm=True)
        return {
            run: gr.update(choices=runs, value=value),
            make: gr.update(interactive=bool(runs)),
            message: said,
        }

    def prepare(study_id: object, name: object, form: object) -> Update:
        try:
            key, job = bundles.start(study_id, name, form)
        except UserError as error:
            return {message: notice(str(error)), **ended()}
        job.wait(SOON_SECONDS)
        return {asked: key, message: HIDDEN_NOTICE, **shown(job, study_id, name)}

    def poll(key: str, study_id: object, name: object) -> Update:
        job = bundles.get(key) if key else None
        return {timer: gr.Timer(active=False)} if job is None else shown(job, study_id, name)

    def shown(job: Job[Path], study_id: object, name: object) -> Update:
        if job.running:
            return {
                state: progress_html(job),
                ready: gr.update(visible=False),
                timer: gr.Timer(active=True),
            }
        if job.result is None or not job.result.is_file():
            return {message: notice(job.error or "The file is gone; prepare it again."), **ended()}
        size = format_bytes(job.result.stat().st_size)
        return {
            state: "",
            ready: gr.update(value=str(job.result), label=f"Download {size}", visible=True),
            measured: deployment_table(
                [form for form in bundles.deployed(study_id) if form.run == name]
            ),
            timer: gr.Timer(active=False),
        }

    def ended() -> Update:
        return {
            asked: "",
            state: "",
            ready: gr.update(value=None, visible=False),
            measured: "",
            timer: gr.Timer(active=False),
        }

    changed = [message, asked, state, ready, measured, timer]
    gr.on([study.change, fold.expand], offer, [study, run], [run, make, message], **QUIET)
    # A file is of the run that is chosen.
    gr.on([study.change, run.input, form.input], ended, None, changed, **QUIET)
    make.click(prepare, [study, run, form], changed, **QUIET)
    timer.tick(poll, [asked, study, run], changed, **QUIET)
