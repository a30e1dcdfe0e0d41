"""A fold that hands out the student of a finished run: pick it, have it packed, download it."""

from __future__ import annotations

import gradio as gr

from app.export.bundles import FILES, FORMS, Bundle, Bundles
from app.export.deployment import deployment_table
from app.export.pages import page_link
from app.export.push_box import Pushes, build_push_box
from app.server.loader import engine
from app.ui.events import UNLIMITED
from app.ui.job_box import JobBox
from app.ui.notice import HIDDEN_NOTICE, Update, hint, notice, notice_box
from dait.storage.files import format_bytes

EXPLAINED = hint(
    "One .zip file that works without this app: weights for timm or torchvision, ONNX in fp32 and "
    "int8, a script that needs onnxruntime alone, and a model card. Or one page to try it on your "
    "phone: open it there; it needs no connection, and photographs stay on the phone. "
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
        message = notice_box(f"{name}-none")
        form = gr.Dropdown(
            list(FORMS), value=FILES, label="As", min_width=220, elem_id=f"{name}-form"
        )
        job: JobBox[Bundle] = JobBox("Prepare the download", name, interactive=False)
        ready = gr.DownloadButton(
            "Download", size="sm", variant="primary", visible=False, elem_id=f"{name}-file"
        )
        page = gr.State("")
        link = gr.HTML("", elem_id=f"{name}-page", apply_default_css=False)
        if pushes is not None:
            build_push_box(pushes, study, run, f"{name}-hub")
        measured = gr.HTML("", elem_id=f"{name}-measured", apply_default_css=False)

    def offer(study_id: object, current: object) -> Update:
        """The runs that can be exported now."""
        runs, value = bundles.choice(study_id, current)
        said = HIDDEN_NOTICE if runs else notice(NONE_YET, calm=True)
        return {
            run: gr.update(choices=runs, value=value),
            job.press: gr.update(interactive=bool(runs)),
            message: said,
        }

    def shown(bundle: Bundle) -> Update:
        size = format_bytes(bundle.file.stat().st_size)
        return {
            job.result: "",
            ready: gr.update(value=str(bundle.file), label=f"Download {size}", visible=True),
            page: bundle.page,
            measured: deployment_table(engine().deployed_forms([bundle.run])),
        }

    def linked(page: str, request: gr.Request) -> str:
        return page_link(page, request.headers.get("referer", "")) if page else ""

    inputs = [study, run, form]
    cleared: Update = {ready: gr.update(value=None, visible=False), page: "", measured: ""}
    page.change(linked, page, link, **UNLIMITED)
    gr.on(
        [study.change, fold.expand],
        offer,
        [study, run],
        [run, job.press, message],
        **UNLIMITED,
    )
    job.wire(bundles.jobs, bundles.task, shown, inputs, about=inputs, cleared=cleared)
