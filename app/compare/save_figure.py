"""A figure of the Compare tab as a file: a web page, its data, or a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.compare.linked_figures import LinkedFigures
from app.compare.linked_views import LinkedViews
from app.compare.row_box import CHOOSE, RowBox
from app.compare.views import CompareViews
from app.server.loader import engine
from app.ui.downloads import file_to_download, hidden_download, press
from app.ui.notice import Update, notice_box, shows_errors
from dait.errors import UserError

COLUMNS = 3
"""Panels side by side in a saved figure."""
FORMATS = (("HTML page", "html"), ("CSV table", "csv"), ("PNG picture", "png"), ("SVG", "svg"))

Draw = Callable[..., str | None]


def figures_to_save(views: CompareViews, linked: LinkedViews) -> dict[str, tuple[str, Draw]]:
    """Title, and the function that draws it as JSON, of study, seed and the gains' networks."""
    return {
        "accuracy": ("Accuracy", lambda study, seed, *_: views.overview(study, seed).bars),
        "slices": (
            "Accuracy by part of the split",
            lambda study, seed, *_: views.overview(study, seed).slices,
        ),
        "tsne": ("t-SNE", lambda study, seed, *_: views.plane(study, seed, COLUMNS)),
        "similarity": (
            "Class similarity",
            lambda study, seed, *_: views.similarity(study, seed, COLUMNS),
        ),
        "confusion": (
            "Confusion matrices",
            lambda study, seed, *_: linked.confusion(study, seed, COLUMNS),
        ),
        "gains": (
            "Gains by class",
            lambda study, seed, ours, theirs: linked.gains(study, seed, ours, theirs, COLUMNS),
        ),
        "reliability": (
            "Reliability",
            lambda study, seed, *_: linked.reliability(study, seed, COLUMNS),
        ),
    }


def saved_figure(
    figures: dict[str, tuple[str, Draw]], name: object, kind: object, study: str, *of: Any
) -> Path:
    """Write a figure into a new folder and return the file.

    of: the seed and the networks of the gains. Raises ``UserError`` for an unknown figure or
    format.
    """
    if name not in figures:
        raise UserError("There is no such figure; choose one from the list.")
    title, draw = figures[str(name)]
    drawn = draw(study, *of)
    if drawn is None:
        raise UserError(f"This study has nothing to show in ‘{title}’.")
    content = engine().export_figure(drawn, str(kind), f"{title}, {study}")
    return file_to_download(f"{study}-{name}.{kind}", content)


def build_save_figure(
    views: CompareViews, linked: LinkedViews, box: RowBox, parts: LinkedFigures
) -> None:
    """Two pickers and a button, in the current column."""
    figures = figures_to_save(views, linked)
    with gr.Accordion("Save a figure", open=False, elem_id="save"):
        with gr.Row(equal_height=True):
            name = gr.Dropdown(
                [(title, key) for key, (title, _) in figures.items()],
                value="tsne",
                label="Figure",
                min_width=200,
                elem_id="save-name",
            )
            kind = gr.Dropdown(
                list(FORMATS), value="html", label="As", min_width=160, elem_id="save-kind"
            )
            save = gr.Button("Download", min_width=140, elem_id="save-now")
        message = notice_box("save-notice")
        ready = hidden_download("saved-figure")

    @shows_errors(message)
    def write(study: str | None, seed: Any, ours: str, theirs: str, name: str, kind: str) -> Update:
        if study is None:
            raise UserError("There is no study to save a figure of yet.")
        return {ready: str(saved_figure(figures, name, kind, study, seed, ours, theirs))}

    inputs = [box.study, box.seed, parts.ours, parts.theirs, name, kind]
    cleared = save.click(lambda: None, None, ready, **CHOOSE)
    press(cleared.then(write, inputs, [message, ready], **CHOOSE), "saved-figure")
