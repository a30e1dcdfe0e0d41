"""What exported students cost, as a table and as a fold that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.export.bundles import Bundles
from app.ui.events import QUIET
from app.ui.notice import hint, notice
from app.ui.tables import network_name, table_html
from app.ui.wording import count, listed, megabytes, milliseconds, percent
from dait.config.arms import arm_title
from dait.errors import UserError

if TYPE_CHECKING:
    from dait.bundle.deployment import DeployedForm

NAMES = ("As", "File", "Top-1", "Agrees with PyTorch", "Latency", "Parameters", "MACs")
FORMS = {
    "torch": ("PyTorch", "fp32"),
    "fp16": ("PyTorch", "weights in fp16"),
    "onnx": ("ONNX", "fp32"),
    "int8": ("ONNX", "int8"),
}
NONE_YET = (
    "No student of this study has been measured as a file yet. Prepare its download below, or run "
    "python -m dait export RUN --to DIR --onnx: what is measured then is kept beside the run."
)


def deployment_table(forms: Sequence[DeployedForm]) -> str:
    """A row for every form of every student, as HTML; a sentence where there is none."""
    if not forms:
        return hint(NONE_YET)
    body = [
        (
            network_name(row.arm, f"{arm_title(row.arm)}, seed {row.seed}"),
            [
                FORMS[row.form],
                (megabytes(row.size), ""),
                (percent(row.top1), f"{percent(row.interval[0])} to {percent(row.interval[1])}"),
                ("–" if row.form == "torch" else percent(row.agreement), ""),
                _latency(row),
                (count(row.parameters), ""),
                (count(row.macs), ""),
            ],
        )
        for row in forms
    ]
    caption = (
        f"Exported students over all {forms[0].images:,} test images, from image file to answer. "
        "Latency: median for one image on one thread of "
        f"{listed(list(dict.fromkeys(row.processor for row in forms)))}, and its 95th percentile; "
        "one figure an architecture. In a browser, the page for a phone measures its own."
    )
    return table_html(caption, "Student", NAMES, body)


def build_deployment_fold(bundles: Bundles, study: gr.Dropdown, name: str) -> None:
    """A fold with the table of a study's exported students. name: of the element."""
    with gr.Accordion("Size and speed as exported files", open=False, elem_id=name) as fold:
        table = gr.HTML("", elem_id=f"{name}-table", apply_default_css=False)
    is_open = gr.State(False)

    def shown(study_id: object, opened: bool) -> str:
        if not opened or not study_id:
            return ""
        try:
            return deployment_table(bundles.deployed(study_id))
        except UserError as error:
            return notice(str(error))

    quiet: dict[str, Any] = {**QUIET, "concurrency_limit": 2}
    fold.expand(lambda study_id: (shown(study_id, True), True), study, [table, is_open], **quiet)
    fold.collapse(lambda: False, None, is_open, **quiet)
    study.change(shown, [study, is_open], table, **quiet)


def _latency(row: DeployedForm) -> tuple[str, str]:
    if row.median is None:
        return "as fp32", ""
    return milliseconds(row.median), f"95 %: {milliseconds(row.p95)}"
