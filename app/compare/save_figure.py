"""A figure of the Compare tab as a file: a page of its own, its data, a picture."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from app.compare.linked_figures import LinkedFigures
from app.compare.linked_views import LinkedViews
from app.compare.row_box import QUIET, RowBox
from app.compare.views import CompareViews
from app.ui.notice import HIDDEN_NOTICE, KEPT, notice_box, shows_errors
from dait.errors import UserError

KEPT_SECONDS = 600
_FOLDERS = "dait-figure-"
COLUMNS = 3
"""Panels side by side in a saved figure."""
FORMATS = (("HTML page", "html"), ("CSV table", "csv"), ("PNG picture", "png"), ("SVG", "svg"))
PRESS_LINK = "() => document.querySelector('#saved-figure')?.click()"

Draw = Callable[..., str | None]


def figures_to_save(views: CompareViews, linked: LinkedViews) -> dict[str, tuple[str, Draw]]:
    """Title, and what draws it as JSON: of study, seed and the networks of the gains."""
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
            "Gains class by class",
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
    """Write a figure into a folder of its own and give the file.

    of: the seed and the networks of the gains. Raises ``UserError`` for a figure or a format that
    is not there.
    """
    import plotly.io

    from dait.evidence.figures.export import export_figure

    if name not in figures:
        raise UserError("There is no such figure; choose one from the list.")
    title, draw = figures[str(name)]
    drawn = draw(study, *of)
    if drawn is None:
        raise UserError(f"This study has nothing to show in ‘{title}’.")
    content = export_figure(plotly.io.from_json(drawn), str(kind), f"{title}, {study}")
    stem = re.sub(r"[^\w.-]+", "-", f"{study}-{name}")
    _remove_old()
    path = Path(tempfile.mkdtemp(prefix=_FOLDERS)) / f"{stem}.{kind}"
    path.write_bytes(content)
    return path


def _remove_old() -> None:
    """Gradio serves a copy of a file; what it was copied from is left to us."""
    before = time.time() - KEPT_SECONDS
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*"):
        with suppress(OSError):  # another visitor's download is quicker, or another user's folder
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder)


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
        said = notice_box("save-notice")
        # It must be in the page to be pressed, and is pressed by the page alone.
        ready = gr.DownloadButton("File", visible="hidden", elem_id="saved-figure")

    @shows_errors(KEPT)
    def write(study: str | None, *asked: Any) -> list[Any]:
        if study is None:
            raise UserError("There is no study to save a figure of yet.")
        *of, chosen, ending = asked
        return [HIDDEN_NOTICE, str(saved_figure(figures, chosen, ending, study, *of))]

    @shows_errors(KEPT)
    def nothing_yet() -> list[Any]:
        return [HIDDEN_NOTICE, None]

    known = [box.study, box.seed, parts.ours, parts.theirs, name, kind]
    save.click(nothing_yet, None, [said, ready], **QUIET).then(
        write, known, [said, ready], **QUIET
    ).success(None, js=PRESS_LINK, api_visibility="private")
