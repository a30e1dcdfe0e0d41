"""How the Data tab is laid out; what happens in it is in ``tab.py``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.catalogue.sources import FIELD_GUIDE, Sources
from app.catalogue.uploads import SUFFIXES
from app.config import AppConfig
from app.data.reading import AS_IN_RECIPE, SIZES
from app.data.views import ALL_CLASSES, about_html
from app.ui.notice import framed, hint, notice_box, section
from app.ui.plot import plot_box
from app.ui.templates import render
from dait.data.base import SPLITS
from dait.evidence.palette import SPLIT_TITLES

NOTHING_CHOSEN = hint("Choose a data set, or upload one.")
UPLOAD_ID = "data-upload"
READ, DOWNLOAD = "Read the images", "Download and read"


@dataclass(frozen=True)
class Choice:
    """The upper part: which data set, and the actions on it."""

    source: gr.Dropdown
    size: gr.Dropdown
    upload: gr.File
    path: gr.Textbox
    notice: gr.HTML
    about: gr.HTML
    read: gr.Button
    use: gr.Button
    delete: gr.Button
    confirm: gr.Row
    really: gr.Button
    keep: gr.Button
    progress: gr.HTML


@dataclass(frozen=True)
class Body:
    """The lower part: what is in the open data set."""

    report: gr.HTML
    counts: gr.HTML
    problems: gr.HTML
    split: gr.Radio
    label: gr.Dropdown
    more: gr.Button
    grid: gr.HTML
    page: gr.State


def lay_out_choice(config: AppConfig, sources: Sources) -> Choice:
    """Dropdowns, upload and path, the card of the chosen data set, and its buttons."""
    section(
        "Data",
        "The images that networks learn from. They are read and checked before a training starts.",
    )
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            with gr.Row():
                source = gr.Dropdown(
                    sources.choices(),
                    value=FIELD_GUIDE,
                    label="Data set",
                    scale=3,
                    min_width=200,
                    elem_id="source",
                )
                size = gr.Dropdown(
                    [("As in the recipe", AS_IN_RECIPE), *((f"{size} px", size) for size in SIZES)],
                    value=AS_IN_RECIPE,
                    label="Image size",
                    scale=1,
                    min_width=150,
                    elem_id="data-size",
                )
            path = gr.Textbox(
                label="Or a path on this machine",
                info="A folder, a .zip or .tar, a .csv of path,label; or hf:owner/name",
                max_lines=1,
                submit_btn="Open",
                visible=config.paths,
                elem_id="data-path",
            )
        with gr.Column(scale=2, min_width=300):
            upload = gr.File(
                label=f"Your photographs as one archive (at most {_size(config)})",
                file_types=list(SUFFIXES),
                height=140,
                elem_id=UPLOAD_ID,
            )
            about_uploads = render("about_uploads", public=bool(config.limits.note))
            gr.HTML(about_uploads, apply_default_css=False)
    message = notice_box("data-notice")
    about = framed(about_html("Field Guide", sources.card(FIELD_GUIDE), None), "data-about")
    slim: dict[str, Any] = {"scale": 0, "min_width": 230}
    with gr.Row():
        read = gr.Button(READ, visible=False, variant="primary", elem_id="read-data", **slim)
        use = gr.Button(
            "Use in training", visible=False, variant="primary", elem_id="use-data", **slim
        )
        delete = gr.Button("Delete upload", visible=False, elem_id="delete-data", **slim)
    with gr.Row(visible=False) as confirm:
        really = gr.Button(
            "Delete it for everybody", variant="stop", elem_id="really-delete", **slim
        )
        keep = gr.Button("Keep it", **slim)
    progress = framed("", "data-progress", visible=False)
    return Choice(
        source=source,
        size=size,
        upload=upload,
        path=path,
        notice=message,
        about=about,
        read=read,
        use=use,
        delete=delete,
        confirm=confirm,
        really=really,
        keep=keep,
        progress=progress,
    )


def lay_out_body() -> Body:
    """The report, the counts, the problems, and the sample images."""
    section("What is in it", "")
    report = framed("", "data-report")
    counts = plot_box("Images per class and split", 410, elem_id="counts")
    problems = framed("", "problems", visible=False)
    section("Sample images", "")
    with gr.Row():
        split = gr.Radio(
            split_choices(SPLITS),
            value="train",
            label="Split",
            scale=2,
            min_width=280,
            elem_id="grid-split",
        )
        label = gr.Dropdown(
            [("All classes", ALL_CLASSES)],
            value=ALL_CLASSES,
            label="Class",
            scale=2,
            min_width=220,
            elem_id="grid-class",
        )
    grid = framed("", "grid")
    with gr.Row():
        more = gr.Button("More images", scale=0, min_width=190, elem_id="more-images")
    return Body(
        report=report,
        counts=counts,
        problems=problems,
        split=split,
        label=label,
        more=more,
        grid=grid,
        page=gr.State(0),
    )


def split_choices(names: Iterable[str]) -> list[tuple[str, str]]:
    """(title, name) of splits, for the filter of the grid."""
    return [(SPLIT_TITLES[name], name) for name in names]


def _size(config: AppConfig) -> str:
    mib = config.limits.archive_bytes // 2**20
    return f"{mib // 1024} GiB" if mib % 1024 == 0 else f"{mib} MiB"
